-- Extends the lease of a claim, for a call with a longer limit. Another worker's claim since then is left alone.
UPDATE deliveries SET due_at = ?3 WHERE id = ?1 AND round = ?2 AND state = 'waiting'
