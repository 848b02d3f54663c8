SELECT
    delivery, sequence, message, watch, channel, spelling, what, failure, reason, provider, at, state, moment, tries,
    answer
FROM events
WHERE at >= $1 AND state = 'dead'
ORDER BY at DESC
LIMIT $2
