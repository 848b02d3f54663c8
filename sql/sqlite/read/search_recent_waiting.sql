-- When much is waiting, the newest of it are at the end of the table and are found at once.
SELECT d.id >> 6 AS number FROM (
    SELECT id, state FROM deliveries NOT INDEXED
    WHERE id >= ?1 << 6 AND id < ?2 << 6
    ORDER BY id DESC
    LIMIT ?5
) AS d
WHERE d.state = 'waiting'
    AND (?3 IS NULL OR (SELECT m.created_at FROM messages AS m WHERE m.number = d.id >> 6) >= ?3)
    AND (?6 IS NULL OR (SELECT m.owner FROM messages AS m WHERE m.number = d.id >> 6) = ?6)
ORDER BY d.id DESC
LIMIT ?4
