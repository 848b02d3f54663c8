-- Searches deliveries by address. Returns a message number once for each matching delivery.
SELECT d.id >> 6 AS number FROM deliveries AS d
WHERE d.address = $5 AND ($6 IS NULL OR d.state = $6)
    AND d.id >= $1 << 6 AND d.id < $2 << 6
    AND ($3 IS NULL OR (SELECT m.created_at FROM messages AS m WHERE m.number = d.id >> 6) >= $3)
    AND ($7 IS NULL OR (SELECT m.owner FROM messages AS m WHERE m.number = d.id >> 6) = $7)
ORDER BY d.id DESC
LIMIT $4
