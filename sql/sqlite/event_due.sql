SELECT
    delivery, sequence, message, watch, channel, spelling, what, failure, reason, provider, at, state, moment, tries,
    answer, claims + 1
FROM events INDEXED BY events_due
WHERE state = 'waiting' AND lane = ?1 AND moment <= ?2
ORDER BY moment
LIMIT ?3
