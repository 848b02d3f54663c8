-- NOT INDEXED: otherwise SQLite looks for the deliveries of a message in the index of all waiting deliveries.
SELECT m.number FROM messages AS m NOT INDEXED
WHERE m.number <= ?1 AND m.created_at < ?2
    AND NOT EXISTS (
        SELECT 1 FROM deliveries AS d NOT INDEXED
        WHERE d.id BETWEEN m.number << 6 AND m.number << 6 | 63 AND d.state = 'waiting'
    )
ORDER BY m.number
LIMIT ?3
