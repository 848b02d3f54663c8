-- Makes the waiting events of a webhook endpoint dead letters. Increments `claims`: the result of a delivery attempt
-- that is in progress is then not recorded.
UPDATE events AS e SET state = 'dead', due_or_ended_at = $4, last_result = $5, claims = e.claims + 1
FROM (
    SELECT delivery, sequence FROM events
    WHERE state = 'waiting' AND endpoint = $1 AND ($2::TEXT IS NULL OR event_target = $2) AND at < $3
    ORDER BY due_or_ended_at
    LIMIT $6
    FOR UPDATE SKIP LOCKED
) AS old
WHERE e.delivery = old.delivery AND e.sequence = old.sequence
