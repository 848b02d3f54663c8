-- Also returns whether the last round was recorded. If not, a worker holds the delivery.
SELECT state, failure, reason, due_at, ended_at, provider, reference, d.id, channel, priority, recorded = round,
    (SELECT m.event_target FROM messages AS m WHERE m.number = d.id >> 6)
FROM deliveries AS d
WHERE d.id BETWEEN ?1 AND ?2
