-- A failed delivery that is requeued gets all its tries back, and an expiry not earlier than the given one.
UPDATE deliveries SET
    state = ?2, failure = ?3, reason = ?4, due_at = ?5, ended_at = ?6,
    tries = CASE WHEN state = 'failed' THEN 0 ELSE tries END,
    expires_at = CASE WHEN state = 'failed' THEN max(expires_at, ?7) ELSE expires_at END,
    rollup_pending = (id <= ?8)
WHERE id = ?1
