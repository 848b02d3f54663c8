-- Writes the states of deliveries that receipts have changed.
UPDATE deliveries AS d SET
    state = r.state, failure = r.failure, reason = r.reason, due_at = r.due_at, ended_at = r.ended_at,
    resends_left = r.resends_left, avoid = coalesce(r.avoid, d.avoid), opened_at = r.opened_at,
    provider = r.provider, reference = r.reference, rollup_pending = TRUE
FROM unnest(
    $1::BIGINT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::BIGINT[], $8::TEXT[],
    $9::BIGINT[], $10::TEXT[], $11::TEXT[]
) AS r (id, state, failure, reason, due_at, ended_at, resends_left, avoid, opened_at, provider, reference)
WHERE d.id = r.id AND d.id = ANY ($1)
