-- In the order of the ids, so that two hosts do not wait for each other.
SELECT
    d.state, d.failure, d.reason, d.due_at, d.ended_at, d.provider, d.reference,
    d.spelling, d.priority, d.resends_left, d.opened_at, m.body, d.channel, d.id
FROM deliveries AS d
JOIN messages AS m ON m.number = d.id >> 6
WHERE d.id = ANY ($1)
ORDER BY d.id
FOR UPDATE OF d
