-- Selects and locks deliveries that changed after they were counted. Because of the locks, the values that are counted
-- are the values that are marked as counted.
SELECT
    d.id, d.address, m.created_at, d.state, d.failure, d.provider, d.opened_at IS NOT NULL AS is_opened,
    d.counted_state, d.counted_failure, d.counted_provider, d.counted_opened, d.counted_attempts
FROM deliveries AS d
JOIN messages AS m ON m.number = d.id >> 6
WHERE d.rollup_pending AND d.id <= $1
ORDER BY d.id
LIMIT $2
FOR UPDATE OF d
