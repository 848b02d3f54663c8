UPDATE deliveries SET due_at = ?2
WHERE id = ?1 AND state = 'waiting' AND recorded = round AND due_at > ?2
RETURNING priority, channel
