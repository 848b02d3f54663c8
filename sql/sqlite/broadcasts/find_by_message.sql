-- Returns the broadcast that a message belongs to. Only the range with the greatest first number not above the message
-- can contain it.
SELECT b.id
FROM (
    SELECT last_number, broadcast FROM broadcast_messages WHERE first_number <= ?1 ORDER BY first_number DESC LIMIT 1
) AS range
JOIN broadcasts AS b ON b.number = range.broadcast
WHERE range.last_number >= ?1
