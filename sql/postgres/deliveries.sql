-- Message by message: with a plain join the planner may walk through all there is, for it cannot see that a message
-- has no more than 64.
SELECT
    d.state, d.failure, d.reason, d.due_at, d.ended_at, d.provider, d.reference,
    d.id, d.channel, d.address, d.spelling, d.parts, d.round, d.tries, d.expires_at, d.opened_at
FROM unnest($1::BIGINT[]) AS asked (number)
CROSS JOIN LATERAL (
    SELECT * FROM deliveries
    WHERE id BETWEEN asked.number << 6 AND asked.number << 6 | 63
    ORDER BY id
    LIMIT 64
) AS d
ORDER BY d.id
