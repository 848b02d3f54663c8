-- Writes the states of deliveries that receipts have changed. While a round is not recorded that `console move` copied
-- from SQLite, `due_at` stays the end of its lease, also when the delivery is settled.
UPDATE deliveries AS d SET
    state = r.state, failure = r.failure, reason = r.reason, ended_at = r.ended_at,
    due_at = CASE
        WHEN d.recorded = d.round THEN r.due_at
        WHEN r.state = 'waiting' THEN greatest(r.due_at, d.due_at)
        ELSE d.due_at
    END,
    resends_left = r.resends_left, avoid = coalesce(r.avoid, d.avoid), opened_at = r.opened_at,
    provider = r.provider, reference = r.reference, rollup_pending = TRUE
FROM unnest(
    $1::BIGINT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::BIGINT[], $8::TEXT[],
    $9::BIGINT[], $10::TEXT[], $11::TEXT[]
) AS r (id, state, failure, reason, due_at, ended_at, resends_left, avoid, opened_at, provider, reference)
WHERE d.id = r.id AND d.id = ANY ($1)
