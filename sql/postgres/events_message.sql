SELECT
    delivery, sequence, message, watch, channel, spelling, what, failure, reason, provider, at, state, moment, tries,
    answer
FROM events
WHERE delivery BETWEEN $1 AND $2 AND at >= $3 AND ($4::TEXT IS NULL OR state = $4)
ORDER BY delivery, sequence
LIMIT $5
