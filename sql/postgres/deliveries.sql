SELECT
    d.state, d.failure, d.reason, d.due_at, d.ended_at, d.provider, d.reference,
    d.id, d.channel, d.address, d.spelling, d.parts, d.round, d.tries, d.expires_at, d.opened_at
FROM unnest($1::BIGINT[]) AS asked (number)
JOIN deliveries AS d ON d.id BETWEEN asked.number << 6 AND asked.number << 6 | 63
ORDER BY d.id
