-- Selects old messages of one partition of which no delivery waits.
SELECT m.number FROM messages AS m
WHERE m.number >= $1 AND m.number < $2 AND m.created_at < $3
    AND NOT EXISTS (
        SELECT 1 FROM deliveries AS d
        WHERE d.id BETWEEN m.number << 6 AND m.number << 6 | 63 AND d.state = 'waiting'
    )
ORDER BY m.number
LIMIT $4
