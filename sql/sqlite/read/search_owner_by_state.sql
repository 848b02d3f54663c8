-- Reads the messages of one API key only, newest first. Returns a message number once for each matching delivery.
SELECT m.number AS number
FROM messages AS m INDEXED BY messages_owner
CROSS JOIN deliveries AS d ON d.id BETWEEN m.number << 6 AND m.number << 6 | 63
WHERE m.owner = ?6 AND m.owner <> '' AND m.number >= ?1 AND m.number < ?2 AND (?3 IS NULL OR m.created_at >= ?3)
    AND d.state = ?5
ORDER BY m.number DESC
LIMIT ?4
