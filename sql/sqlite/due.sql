-- One priority at a time: with both in one statement SQLite would walk past everything that is urgent but not due.
SELECT id, due_at FROM deliveries INDEXED BY deliveries_due
WHERE state = 'waiting' AND priority = ?1 AND due_at <= ?2
ORDER BY due_at
LIMIT ?3
