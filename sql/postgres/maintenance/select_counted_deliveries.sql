-- Selects the deliveries of old messages with the values that the rollups count, and locks them.
SELECT
    d.id, d.address, m.created_at, d.state, d.failure, d.provider, d.opened_at IS NOT NULL AS is_opened,
    d.counted_state, d.counted_failure, d.counted_provider, d.counted_opened, d.counted_attempts
FROM messages AS m
JOIN deliveries AS d ON d.id BETWEEN m.number << 6 AND m.number << 6 | 63
WHERE m.number = ANY ($1) AND d.id BETWEEN $2 AND $3
ORDER BY d.id
FOR UPDATE OF d
