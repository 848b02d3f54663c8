-- Selects due deliveries: up to `capacity` per channel and priority, in index order and in one round trip. Claimed
-- deliveries are skipped, which costs little because there are few.
SELECT d.id, d.due_at, requested.channel, priorities.priority
FROM unnest($2::TEXT[], $3::BIGINT[]) AS requested (channel, capacity)
CROSS JOIN (VALUES (0::BIGINT), (1::BIGINT)) AS priorities (priority)
CROSS JOIN LATERAL (
    SELECT w.id, greatest(w.due_at, (SELECT l.lease_expires_at FROM leases AS l WHERE l.id = w.id)) AS due_at
    FROM deliveries AS w
    WHERE w.state = 'waiting' AND w.channel = requested.channel AND w.priority = priorities.priority AND w.due_at <= $1
        AND coalesce((SELECT l.lease_expires_at FROM leases AS l WHERE l.id = w.id), 0) <= $1
    ORDER BY w.due_at
    LIMIT requested.capacity
) AS d
ORDER BY priorities.priority, requested.channel, d.due_at
