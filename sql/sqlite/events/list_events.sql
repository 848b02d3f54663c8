SELECT
    delivery, sequence, message, event_target, channel, spelling, event_type, failure, reason, provider, at,
    state, due_or_ended_at, tries, last_result
FROM events INDEXED BY events_at
WHERE at >= ?1 AND (?2 IS NULL OR state = ?2)
ORDER BY at DESC
LIMIT ?3
