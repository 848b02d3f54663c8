-- Searches waiting deliveries. Sorts by an expression, so that the planner does not scan all ended deliveries in the
-- order of the ids. The cost depends on the number of waiting deliveries, not on the number of all deliveries.
SELECT d.id >> 6 AS number FROM deliveries AS d
WHERE d.state = 'waiting'
    AND d.id >= $1 << 6 AND d.id < $2 << 6
    AND ($3 IS NULL OR (SELECT m.created_at FROM messages AS m WHERE m.number = d.id >> 6) >= $3)
    AND ($5 IS NULL OR (SELECT m.owner FROM messages AS m WHERE m.number = d.id >> 6) = $5)
ORDER BY d.id + 0 DESC
LIMIT $4
