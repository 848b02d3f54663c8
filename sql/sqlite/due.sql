-- One channel and one priority at a time: with more in one statement SQLite would walk past what is not asked for.
SELECT id, due_at FROM deliveries INDEXED BY deliveries_due
WHERE state = 'waiting' AND channel = ?1 AND priority = ?2 AND due_at <= ?3
ORDER BY due_at
LIMIT ?4
