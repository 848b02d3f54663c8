-- Returns the broadcasts that the messages belong to. Only the range with the greatest first number not above the
-- message can contain it.
SELECT asked.number, b.id
FROM unnest($1::BIGINT[]) AS asked (number)
CROSS JOIN LATERAL (
    SELECT last_number, broadcast FROM broadcast_messages WHERE first_number <= asked.number ORDER BY first_number DESC LIMIT 1
) AS run
JOIN broadcasts AS b ON b.number = run.broadcast
WHERE run.last_number >= asked.number
