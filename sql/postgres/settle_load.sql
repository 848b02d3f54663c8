-- In the order of the ids, so that two hosts do not wait for each other. The body is looked up row by row: for a join the
-- planner may read all messages there are.
SELECT
    d.state, d.failure, d.reason, d.due_at, d.ended_at, d.provider, d.reference,
    d.spelling, d.priority, d.resends_left, d.opened_at,
    (SELECT m.body FROM messages AS m WHERE m.number = d.id >> 6), d.channel, d.id, d.contacts,
    -- The address that was used: the last that this provider took, where the delivery has several.
    CASE WHEN d.contacts IS NOT NULL THEN (
        SELECT a.address FROM attempts AS a
        WHERE a.delivery = d.id AND a.provider = d.provider AND a.outcome = 'accepted'
        ORDER BY a.place DESC
        LIMIT 1
    ) END,
    (SELECT m.watch FROM messages AS m WHERE m.number = d.id >> 6)
FROM deliveries AS d
WHERE d.id = ANY ($1)
ORDER BY d.id
FOR UPDATE OF d
