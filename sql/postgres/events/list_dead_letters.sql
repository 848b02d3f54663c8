-- Lists dead letters, newest first.
SELECT
    delivery, sequence, message, event_target, channel, spelling, event_type, failure, reason, provider, at, state,
    due_or_ended_at, tries, last_result
FROM events
WHERE at >= $1 AND state = 'dead'
ORDER BY at DESC
LIMIT $2
