-- Touches a row only while the round is the current one and has no end yet, and ends its lease. Leases come before
-- deliveries, and in the order of the ids, as with everybody who locks both: whoever waited for a lease sees how many
-- rounds it counts now. A round that began before there were leases has none. A state that names no provider leaves the
-- last one that took it in place. `was` is no constant, or the planner goes through the index of all that waits when it
-- does not know how many there are. It answers what was touched, and whether a receipt may have come before it.
WITH r AS MATERIALIZED (
    SELECT r.*, 'waiting' AS was, coalesce(held.claims, 0) AS claims
    FROM unnest(
        $1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::BIGINT[], $7::BIGINT[], $8::TEXT[],
        $9::TEXT[], $10::BIGINT[]
    ) AS r (id, round, state, failure, reason, due_at, ended_at, provider, reference, tries)
    LEFT JOIN LATERAL (SELECT claims FROM leases WHERE id = r.id FOR UPDATE) AS held ON TRUE
), ended AS (
    UPDATE deliveries AS d SET
        state = r.state, failure = r.failure, reason = r.reason, due_at = r.due_at, ended_at = r.ended_at,
        reference = CASE WHEN r.provider IS NULL THEN d.reference ELSE r.reference END,
        provider = coalesce(r.provider, d.provider),
        tries = r.tries, round = r.round, recorded = r.round, recount = TRUE
    FROM r
    WHERE d.id = r.id AND d.id = ANY ($1) AND d.state = r.was AND d.round + r.claims = r.round
        AND d.recorded < r.round
    RETURNING d.id, d.reference
), freed AS (
    DELETE FROM leases AS l USING ended WHERE l.id = ended.id
)
SELECT ended.id, EXISTS (SELECT FROM receipts AS e WHERE e.reference = ended.reference) FROM ended
