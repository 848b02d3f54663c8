-- Lists the events of the deliveries of one message.
SELECT
    delivery, sequence, message, event_target, channel, spelling, event_type, failure, reason, provider, at, state,
    due_or_ended_at, tries, last_result
FROM events
WHERE delivery BETWEEN $1 AND $2 AND at >= $3 AND ($4::TEXT IS NULL OR state = $4)
ORDER BY delivery, sequence
LIMIT $5
