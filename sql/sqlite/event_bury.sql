-- One that a sender has in hand loses its claim: what came of the call is not recorded any more.
UPDATE events SET state = 'dead', moment = ?4, answer = ?5, claims = claims + 1
WHERE (delivery, sequence) IN (
    SELECT delivery, sequence FROM events INDEXED BY events_due
    WHERE state = 'waiting' AND lane = ?1 AND (?2 IS NULL OR watch = ?2) AND at < ?3
    ORDER BY moment
    LIMIT ?6
)
