-- Message by message: with a plain join the planner may walk through all there is, for it cannot see that a message
-- has no more than 64. What is in a worker's hands is due when the lease ends.
SELECT
    d.state, d.failure, d.reason, greatest(d.due_at, l.until), d.ended_at, d.provider, d.reference,
    d.id, d.channel, d.address, d.spelling, d.parts, d.round + coalesce(l.claims, 0), d.tries, d.expires_at, d.opened_at
FROM unnest($1::BIGINT[]) AS asked (number)
CROSS JOIN LATERAL (
    SELECT * FROM deliveries
    WHERE id BETWEEN asked.number << 6 AND asked.number << 6 | 63
    ORDER BY id
    LIMIT 64
) AS d
LEFT JOIN LATERAL (SELECT claims, until FROM leases WHERE id = d.id AND d.state = 'waiting' LIMIT 1) AS l ON TRUE
ORDER BY d.id
