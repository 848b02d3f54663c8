-- Counts the waiting and the due deliveries by channel. Waiting deliveries are counted from the index alone. Claimed
-- deliveries are few and not due, so they are subtracted. The oldest due delivery is read from the index once per
-- channel and priority.
WITH RECURSIVE waiting_channels (channel) AS (
    (SELECT channel FROM deliveries WHERE state = 'waiting' ORDER BY channel LIMIT 1)
    UNION ALL
    SELECT next.channel FROM waiting_channels
    CROSS JOIN LATERAL (
        SELECT d.channel FROM deliveries AS d
        WHERE d.state = 'waiting' AND d.channel > waiting_channels.channel
        ORDER BY d.channel
        LIMIT 1
    ) AS next
), counted AS (
    SELECT d.channel, count(*) AS count, count(*) FILTER (WHERE d.due_at <= $1) AS due, min(d.id) AS oldest_id
    FROM deliveries AS d
    WHERE d.state = 'waiting'
    GROUP BY d.channel
), leased AS (
    SELECT d.channel, count(*) AS count FROM leases AS l
    CROSS JOIN LATERAL (
        SELECT w.channel FROM deliveries AS w
        WHERE w.id = l.id AND w.state = 'waiting' AND w.due_at <= $1
        LIMIT 1
    ) AS d
    WHERE l.lease_expires_at > $1
    GROUP BY d.channel
), oldest AS (
    SELECT waiting_channels.channel, min(d.due_at) AS due_at FROM waiting_channels
    CROSS JOIN (VALUES (0::BIGINT), (1::BIGINT)) AS priorities (priority)
    CROSS JOIN LATERAL (
        SELECT greatest(w.due_at, (SELECT l.lease_expires_at FROM leases AS l WHERE l.id = w.id)) AS due_at
        FROM deliveries AS w
        WHERE w.state = 'waiting' AND w.channel = waiting_channels.channel AND w.priority = priorities.priority
            AND w.due_at <= $1
            AND coalesce((SELECT l.lease_expires_at FROM leases AS l WHERE l.id = w.id), 0) <= $1
        ORDER BY w.due_at
        LIMIT 1
    ) AS d
    GROUP BY waiting_channels.channel
)
SELECT
    counted.channel, counted.count AS waiting, counted.due - coalesce(leased.count, 0) AS due,
    oldest.due_at AS oldest_due_at,
    (SELECT m.created_at FROM messages AS m WHERE m.number = counted.oldest_id >> 6) AS oldest_accepted_at
FROM counted
LEFT JOIN leased ON leased.channel = counted.channel
LEFT JOIN oldest ON oldest.channel = counted.channel
ORDER BY counted.channel
