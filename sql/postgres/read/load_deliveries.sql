-- Loads the deliveries of messages. Reads message by message (LATERAL with LIMIT): with a plain join the planner may
-- scan the whole table, because it does not know that a message has at most 64 deliveries. A claimed delivery is due
-- when its lease expires.
SELECT
    d.id, d.channel, d.address, d.spelling, d.parts, d.state, d.failure, d.reason,
    greatest(d.due_at, l.lease_expires_at) AS due_at, d.ended_at, d.provider, d.reference,
    d.round + coalesce(l.claims, 0) AS round, d.tries, d.expires_at, d.opened_at
FROM unnest($1::BIGINT[]) AS requested (number)
CROSS JOIN LATERAL (
    SELECT * FROM deliveries
    WHERE id BETWEEN requested.number << 6 AND requested.number << 6 | 63
    ORDER BY id
    LIMIT 64
) AS d
LEFT JOIN LATERAL (
    SELECT claims, lease_expires_at FROM leases WHERE id = d.id AND d.state = 'waiting' LIMIT 1
) AS l ON TRUE
ORDER BY d.id
