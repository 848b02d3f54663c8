-- Records completed rounds: writes the new state of each delivery and releases its lease. Changes a delivery only if
-- the round is still the current one and was not recorded. Returns the changed deliveries, and whether a receipt may
-- have arrived before the record.
--
-- Leases are locked before deliveries and in the order of the ids, as everywhere: a transaction that waited for a lease
-- then sees its current number of rounds. A delivery copied by `console move` may have an open round without a lease. A
-- new state without a provider keeps the last provider and reference. `previous_state` is a column and not a constant:
-- with a constant the planner scans the index of all waiting deliveries when it does not know their number.
WITH r AS MATERIALIZED (
    SELECT r.*, 'waiting' AS previous_state, coalesce(lease.claims, 0) AS claims
    FROM unnest(
        $1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::BIGINT[], $7::BIGINT[], $8::TEXT[],
        $9::TEXT[], $10::BIGINT[], $11::BIGINT[]
    ) AS r (id, round, state, failure, reason, due_at, ended_at, provider, reference, tries, expires_at)
    LEFT JOIN LATERAL (SELECT claims FROM leases WHERE id = r.id FOR UPDATE) AS lease ON TRUE
), recorded_rounds AS (
    UPDATE deliveries AS d SET
        state = r.state, failure = r.failure, reason = r.reason, due_at = r.due_at, ended_at = r.ended_at,
        reference = CASE WHEN r.provider IS NULL THEN d.reference ELSE r.reference END,
        provider = coalesce(r.provider, d.provider),
        tries = r.tries, round = r.round, recorded = r.round, expires_at = r.expires_at,
        rollup_pending = TRUE
    FROM r
    WHERE d.id = r.id AND d.id = ANY ($1) AND d.state = r.previous_state AND d.round + r.claims = r.round
        AND d.recorded < r.round
    RETURNING d.id, d.reference
), released AS (
    DELETE FROM leases AS l USING recorded_rounds WHERE l.id = recorded_rounds.id
)
SELECT
    recorded_rounds.id,
    EXISTS (SELECT FROM unmatched_receipts AS u WHERE u.reference = recorded_rounds.reference) AS has_unmatched_receipts
FROM recorded_rounds
