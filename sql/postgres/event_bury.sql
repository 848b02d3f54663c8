-- One that a sender has in hand loses its claim: what came of the call is not recorded any more.
UPDATE events AS e SET state = 'dead', moment = $4, answer = $5, claims = e.claims + 1
FROM (
    SELECT delivery, sequence FROM events
    WHERE state = 'waiting' AND lane = $1 AND ($2::TEXT IS NULL OR watch = $2) AND at < $3
    ORDER BY moment
    LIMIT $6
    FOR UPDATE SKIP LOCKED
) AS old
WHERE e.delivery = old.delivery AND e.sequence = old.sequence
