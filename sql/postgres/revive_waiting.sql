UPDATE deliveries SET due_at = $2
WHERE id = ANY ($1) AND state = 'waiting' AND recorded = round AND due_at > $2
RETURNING id, priority, channel
