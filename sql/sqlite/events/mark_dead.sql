-- Increments `claims`: the result of a delivery attempt that is in progress is then not recorded.
UPDATE events SET state = 'dead', due_or_ended_at = ?4, last_result = ?5, claims = claims + 1
WHERE (delivery, sequence) IN (
    SELECT delivery, sequence FROM events INDEXED BY events_due
    WHERE state = 'waiting' AND endpoint = ?1 AND (?2 IS NULL OR event_target = ?2) AND at < ?3
    ORDER BY due_or_ended_at
    LIMIT ?6
)
