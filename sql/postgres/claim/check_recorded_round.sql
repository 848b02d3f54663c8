-- Returns whether the result and the attempts of these rounds are already stored, and whether a receipt settled the
-- delivery during the round. Runs after mark_superseded_round.sql,
-- which waits for a transaction that records the same round.
SELECT
    d.id, d.recorded = r.round AS is_recorded,
    d.recorded < r.round AND d.state <> 'waiting'
        AND d.round + coalesce((SELECT l.claims FROM leases AS l WHERE l.id = d.id), 0) = r.round AS is_settled,
    coalesce((
        SELECT TRUE FROM attempts AS a
        WHERE a.delivery = d.id AND a.round = r.round
        LIMIT 1
    ), FALSE) AS has_attempts
FROM unnest($1::BIGINT[], $2::BIGINT[]) AS r (id, round)
JOIN deliveries AS d ON d.id = r.id
WHERE d.id = ANY ($1)
