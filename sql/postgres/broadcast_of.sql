-- The broadcast that a message came from; the run of numbers that begins last before it is the only one it can be in.
SELECT b.id
FROM (
    SELECT last_number, broadcast FROM broadcast_messages WHERE first_number <= $1 ORDER BY first_number DESC LIMIT 1
) AS run
JOIN broadcasts AS b ON b.number = run.broadcast
WHERE run.last_number >= $1
