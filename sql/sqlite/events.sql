SELECT
    delivery, sequence, message, watch, channel, spelling, what, failure, reason, provider, at, state, moment, tries,
    answer
FROM events INDEXED BY events_at
WHERE at >= ?1 AND (?2 IS NULL OR state = ?2)
ORDER BY at DESC
LIMIT ?3
