-- Ends rounds during which a receipt for an earlier copy settled the delivery: the worker no longer holds the delivery.
-- record_round.sql has locked the leases in the same transaction.
WITH finished AS (
    UPDATE deliveries AS d SET
        due_at = CASE WHEN d.state = 'waiting' THEN d.due_at END,
        round = r.round, recorded = r.round, tries = r.tries, rollup_pending = TRUE
    FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS r (id, round, tries)
    WHERE d.id = r.id AND d.id = ANY ($1)
    RETURNING d.id
)
DELETE FROM leases AS l USING finished WHERE l.id = finished.id
