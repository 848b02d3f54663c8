-- Only what is in no worker's hands: its last round has an end.
UPDATE deliveries SET
    state = 'failed', failure = $3, reason = $4, ended_at = $5, due_at = NULL, recount = TRUE
WHERE id BETWEEN $1 AND $2 AND state = 'waiting' AND recorded = round
