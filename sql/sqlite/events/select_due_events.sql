SELECT
    delivery, sequence, message, event_target, channel, spelling, event_type, failure, reason, provider, at,
    state, due_or_ended_at, tries, last_result, claims + 1 AS claims
FROM events INDEXED BY events_due
WHERE state = 'waiting' AND endpoint = ?1 AND due_or_ended_at <= ?2
ORDER BY due_or_ended_at
LIMIT ?3
