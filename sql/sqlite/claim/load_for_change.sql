-- Also returns whether the last round was recorded. If not, a worker holds the delivery.
SELECT
    d.id, state, failure, reason, due_at, ended_at, provider, reference, channel, priority,
    recorded = round AS is_recorded,
    (SELECT m.at_most_once FROM messages AS m WHERE m.number = d.id >> 6) AS at_most_once,
    (SELECT m.event_target FROM messages AS m WHERE m.number = d.id >> 6) AS event_target
FROM deliveries AS d
WHERE d.id BETWEEN ?1 AND ?2
