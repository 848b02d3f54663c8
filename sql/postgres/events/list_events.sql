-- Lists events, newest first.
SELECT
    delivery, sequence, message, event_target, channel, spelling, event_type, failure, reason, provider, at, state,
    due_or_ended_at, tries, last_result
FROM events
WHERE at >= $1 AND ($2::TEXT IS NULL OR state = $2)
ORDER BY at DESC
LIMIT $3
