-- Loads deliveries that receipts belong to, and locks them in the order of the ids, so that two processes do not
-- deadlock. The body is read by a subquery: for a join the planner may scan all messages.
SELECT
    d.state, d.failure, d.reason, d.due_at, d.ended_at, d.provider, d.reference,
    d.spelling, d.priority, d.resends_left, d.opened_at,
    (SELECT m.body FROM messages AS m WHERE m.number = d.id >> 6) AS body, d.channel, d.id, d.contacts,
    (SELECT m.event_target FROM messages AS m WHERE m.number = d.id >> 6) AS event_target,
    (SELECT m.owner FROM messages AS m WHERE m.number = d.id >> 6) AS owner
FROM deliveries AS d
WHERE d.id = ANY ($1)
ORDER BY d.id
FOR UPDATE OF d
