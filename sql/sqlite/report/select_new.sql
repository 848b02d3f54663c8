-- Selects deliveries that were never counted: those above the rollup position. A new delivery therefore needs no entry
-- in an index for the report.
SELECT
    d.id, d.address, m.created_at, d.state, d.failure, d.provider, d.opened_at IS NOT NULL AS is_opened,
    d.counted_state, d.counted_failure, d.counted_provider, d.counted_opened, d.counted_attempts
FROM deliveries AS d NOT INDEXED
CROSS JOIN messages AS m ON m.number = d.id >> 6
WHERE d.id > ?1
ORDER BY d.id
LIMIT ?2
