-- Not what was called off or must not be written to: that may have happened since the operator looked.
UPDATE deliveries SET
    state = 'waiting', failure = NULL, reason = $3, due_at = $2, ended_at = NULL, tries = 0,
    expires_at = greatest(expires_at, $4), recount = TRUE
WHERE id = ANY ($1) AND state = 'failed' AND failure NOT IN ('cancelled', 'suppressed')
RETURNING id, priority, channel
