-- Copies channel, spelling and message id from the delivery and the message.
INSERT INTO events (
    delivery, sequence, message, event_target, endpoint, channel, spelling, event_type, failure, reason, provider, at,
    due_or_ended_at
)
SELECT
    d.id, (SELECT coalesce(max(e.sequence), 0) + 1 FROM events AS e WHERE e.delivery = d.id),
    m.id, ?2, ?3, d.channel, d.spelling, ?4, ?5, ?6, ?7, ?8, ?9
FROM deliveries AS d
JOIN messages AS m ON m.number = d.id >> 6
WHERE d.id = ?1
