SELECT
    state, failure, reason, due_at, ended_at, provider, reference,
    id, channel, address, spelling, parts, round, tries, expires_at, opened_at
FROM deliveries
WHERE id BETWEEN ?1 AND ?2
ORDER BY id
