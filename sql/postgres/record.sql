-- Touches a row only while the round is the current one and has no end yet. A state that names no provider
-- leaves the last one that took it in place.
UPDATE deliveries AS d SET
    state = r.state, failure = r.failure, reason = r.reason, due_at = r.due_at, ended_at = r.ended_at,
    reference = CASE WHEN r.provider IS NULL THEN d.reference ELSE r.reference END,
    provider = coalesce(r.provider, d.provider),
    tries = r.tries, recorded = d.round, recount = TRUE
FROM unnest(
    $1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::BIGINT[], $7::BIGINT[], $8::TEXT[],
    $9::TEXT[], $10::BIGINT[]
) AS r (id, round, state, failure, reason, due_at, ended_at, provider, reference, tries)
WHERE d.id = r.id AND d.id = ANY ($1) AND d.round = r.round AND d.recorded < r.round AND d.state = 'waiting'
RETURNING d.id
