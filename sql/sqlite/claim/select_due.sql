-- One channel and one priority per execution: with several in one statement SQLite would scan entries that are not
-- needed.
SELECT id, due_at FROM deliveries INDEXED BY deliveries_due
WHERE state = 'waiting' AND channel = ?1 AND priority = ?2 AND due_at <= ?3
ORDER BY due_at
LIMIT ?4
