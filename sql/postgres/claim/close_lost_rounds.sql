-- Ends the rounds of settled deliveries that were never recorded and whose lease has expired: the worker stopped during
-- the call, and no later claim names the copies that it may have sent. Each gets a round that nothing sent, with one
-- attempt 'unknown' for each of its unrecorded rounds; a worker that records one of those later only adds its attempts.
--
-- `leases` has few rows, so it needs no index on the expiry. The second part finds deliveries that `console move` copied
-- from SQLite. Leases are locked before deliveries, as everywhere.
WITH leased AS MATERIALIZED (
    SELECT l.id, l.claims FROM leases AS l
    WHERE l.claims > 0 AND l.lease_expires_at <= $1
        AND (SELECT d.state FROM deliveries AS d WHERE d.id = l.id) <> 'waiting'
    ORDER BY l.id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), copied AS MATERIALIZED (
    SELECT d.id, 0::BIGINT AS claims FROM deliveries AS d
    WHERE d.state <> 'waiting' AND d.due_at <= $1 AND NOT EXISTS (SELECT FROM leases AS l WHERE l.id = d.id)
    ORDER BY d.id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), lost AS MATERIALIZED (
    SELECT l.id, l.claims, d.round + l.claims - d.recorded AS rounds
    FROM (SELECT * FROM leased UNION ALL SELECT * FROM copied) AS l
    CROSS JOIN LATERAL (SELECT round, recorded FROM deliveries WHERE id = l.id) AS d
), closed AS (
    UPDATE deliveries AS d SET
        due_at = NULL, round = d.round + lost.claims + 1, recorded = d.round + lost.claims + 1, rollup_pending = TRUE
    FROM lost
    WHERE d.id = lost.id AND d.id = ANY (ARRAY(SELECT id FROM lost)) AND d.state <> 'waiting'
    RETURNING d.id, d.round, lost.rounds
), released AS (
    DELETE FROM leases AS l USING closed WHERE l.id = closed.id
), named AS (
    INSERT INTO attempts (delivery, sequence, round, outcome, reason, at, duration_ms)
    SELECT
        closed.id, number + (SELECT coalesce(max(a.sequence), -1) FROM attempts AS a WHERE a.delivery = closed.id),
        closed.round, 'unknown', $3, $1, 0
    FROM closed CROSS JOIN LATERAL generate_series(1, closed.rounds) AS number
)
SELECT id FROM closed
