-- Loads deliveries that receipts belong to, and locks them in the order of the ids, so that two processes do not
-- deadlock. The body is read by a subquery: for a join the planner may scan all messages.
SELECT
    d.state, d.failure, d.reason, d.due_at, d.ended_at, d.provider, d.reference,
    d.spelling, d.priority, d.resends_left, d.opened_at,
    (SELECT m.body FROM messages AS m WHERE m.number = d.id >> 6) AS body, d.channel, d.id, d.contacts,
    -- The address that was used, when the delivery has several: that of the last attempt that this provider accepted.
    CASE WHEN d.contacts IS NOT NULL THEN (
        SELECT a.address FROM attempts AS a
        WHERE a.delivery = d.id AND a.provider = d.provider AND a.outcome = 'accepted'
        ORDER BY a.sequence DESC
        LIMIT 1
    ) END AS attempt_address,
    (SELECT m.event_target FROM messages AS m WHERE m.number = d.id >> 6) AS event_target,
    (SELECT m.owner FROM messages AS m WHERE m.number = d.id >> 6) AS owner
FROM deliveries AS d
WHERE d.id = ANY ($1)
ORDER BY d.id
FOR UPDATE OF d
