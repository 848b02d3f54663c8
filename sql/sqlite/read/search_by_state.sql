-- Repeats the condition of the partial index; otherwise SQLite does not use it.
SELECT d.id >> 6 AS number FROM deliveries AS d INDEXED BY deliveries_ended
WHERE d.state <> 'waiting' AND d.state = ?5
    AND d.id >= ?1 << 6 AND d.id < ?2 << 6
    AND (?3 IS NULL OR (SELECT m.created_at FROM messages AS m WHERE m.number = d.id >> 6) >= ?3)
    AND (?6 IS NULL OR (SELECT m.owner FROM messages AS m WHERE m.number = d.id >> 6) = ?6)
ORDER BY d.id DESC
LIMIT ?4
