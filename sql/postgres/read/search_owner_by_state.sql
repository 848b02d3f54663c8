-- Searches the deliveries of one API key by state, newest first. Reads the messages of the key only, message by message,
-- because the planner does not know that a message has at most 64 deliveries.
SELECT m.number
FROM messages AS m
CROSS JOIN LATERAL (
    SELECT state FROM deliveries WHERE id BETWEEN m.number << 6 AND m.number << 6 | 63 LIMIT 64
) AS d
WHERE m.owner = $6 AND m.owner <> '' AND m.number >= $1 AND m.number < $2 AND ($3 IS NULL OR m.created_at >= $3)
    AND d.state = $5
ORDER BY m.number DESC
LIMIT $4
