-- Touches a row only while the round is the current one and has no end yet, and ends its lease. Leases come before
-- deliveries, and in the order of the ids, as with everybody who locks both: whoever waited for a lease sees how many
-- rounds it counts now. A round that began before there were leases has none. A state that names no provider leaves the
-- last one that took it in place.
WITH r AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::BIGINT[], $7::BIGINT[], $8::TEXT[],
        $9::TEXT[], $10::BIGINT[]
    ) AS r (id, round, state, failure, reason, due_at, ended_at, provider, reference, tries)
), held AS MATERIALIZED (
    SELECT l.id, l.claims
    FROM r CROSS JOIN LATERAL (SELECT id, claims FROM leases WHERE id = r.id FOR UPDATE) AS l
), ended AS (
    UPDATE deliveries AS d SET
        state = r.state, failure = r.failure, reason = r.reason, due_at = r.due_at, ended_at = r.ended_at,
        reference = CASE WHEN r.provider IS NULL THEN d.reference ELSE r.reference END,
        provider = coalesce(r.provider, d.provider),
        tries = r.tries, round = r.round, recorded = r.round, recount = TRUE
    FROM r LEFT JOIN held ON held.id = r.id
    WHERE d.id = r.id AND d.id = ANY ($1) AND d.round + coalesce(held.claims, 0) = r.round AND d.recorded < r.round
        AND d.state = 'waiting'
    RETURNING d.id
), freed AS (
    DELETE FROM leases AS l USING ended WHERE l.id = ended.id
)
SELECT id FROM ended
