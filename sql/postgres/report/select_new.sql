-- Selects and locks deliveries that were never counted: those above the rollup position, up to the last message number
-- that is certainly committed.
SELECT
    d.id, d.address, m.created_at, d.state, d.failure, d.provider, d.opened_at IS NOT NULL AS is_opened,
    d.counted_state, d.counted_failure, d.counted_provider, d.counted_opened, d.counted_attempts
FROM deliveries AS d
JOIN messages AS m ON m.number = d.id >> 6
WHERE d.id > $1 AND d.id <= $3
ORDER BY d.id
LIMIT $2
FOR UPDATE OF d
