-- Counts the deliveries of a detached partition: one row for all deliveries that the report counts alike. {partition}
-- is a number.
SELECT
    d.id & 63 = 0 AS is_first, m.created_at / 3600000 AS hour, count(*) AS count, d.state, d.failure, d.provider,
    d.opened_at IS NOT NULL AS is_opened,
    CASE WHEN d.id <= $1 THEN d.counted_state END AS counted_state,
    CASE WHEN d.id <= $1 THEN d.counted_failure END AS counted_failure,
    CASE WHEN d.id <= $1 THEN d.counted_provider END AS counted_provider,
    CASE WHEN d.id <= $1 THEN d.counted_opened END AS counted_opened
FROM deliveries_{partition} AS d
JOIN messages_{partition} AS m ON m.number = d.id >> 6
GROUP BY 1, 2, 4, 5, 6, 7, 8, 9, 10, 11
