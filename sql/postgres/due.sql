-- One priority at a time, each out of the index in its own order.
SELECT id, due_at FROM deliveries
WHERE state = 'waiting' AND priority = $1 AND due_at <= $2
ORDER BY due_at
LIMIT $3
