SELECT
    delivery, sequence, message, watch, channel, spelling, what, failure, reason, provider, at, state, moment, tries,
    answer
FROM events
WHERE at >= $1 AND ($2::TEXT IS NULL OR state = $2)
ORDER BY at DESC
LIMIT $3
