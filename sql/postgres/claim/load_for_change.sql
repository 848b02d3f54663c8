-- Loads deliveries that an operator or a client may change, and locks them in the order of the ids, as everywhere. Also
-- returns whether the last round was recorded: if not, a worker may hold the delivery although it has no lease, because
-- `console move` copies such rows.
SELECT state, failure, reason, due_at, ended_at, provider, reference, id, channel, priority,
    recorded = round AS is_recorded,
    (SELECT m.at_most_once FROM messages AS m WHERE m.number = d.id >> 6) AS at_most_once,
    (SELECT m.event_target FROM messages AS m WHERE m.number = d.id >> 6) AS event_target
FROM deliveries AS d
WHERE id = ANY ($1)
ORDER BY id
FOR UPDATE
