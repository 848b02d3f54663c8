-- Returns the broadcast of each message that belongs to one. Only the range with the greatest first number not above
-- the message can contain the message.
SELECT requested.number, b.id
FROM unnest($1::BIGINT[]) AS requested (number)
CROSS JOIN LATERAL (
    SELECT last_number, broadcast FROM broadcast_messages
    WHERE first_number <= requested.number
    ORDER BY first_number DESC
    LIMIT 1
) AS range
JOIN broadcasts AS b ON b.number = range.broadcast
WHERE range.last_number >= requested.number
