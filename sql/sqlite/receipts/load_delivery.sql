SELECT
    d.id, d.state, d.failure, d.reason, d.due_at, d.ended_at, d.provider, d.reference,
    d.spelling, d.priority, d.resends_left, d.opened_at, m.body, d.channel, d.contacts, m.event_target, m.owner
FROM deliveries AS d
JOIN messages AS m ON m.number = d.id >> 6
WHERE d.id = ?1
