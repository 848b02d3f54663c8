-- Writes the new states of deliveries that an operator or a client cancels, requeues or suppresses. A failed delivery
-- that is requeued gets all its tries back, and an expiry not earlier than the given one.
UPDATE deliveries AS d SET
    state = c.state, failure = c.failure, reason = c.reason, due_at = c.due_at, ended_at = c.ended_at,
    tries = CASE WHEN d.state = 'failed' THEN 0 ELSE d.tries END,
    expires_at = CASE WHEN d.state = 'failed' THEN greatest(d.expires_at, $7) ELSE d.expires_at END,
    rollup_pending = TRUE
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[])
    AS c (id, state, failure, reason, due_at, ended_at)
WHERE d.id = c.id AND d.id = ANY ($1)
