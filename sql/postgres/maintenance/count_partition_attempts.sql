-- Counts the attempts of a detached partition: one row for all attempts that are counted alike. {partition} is a
-- number.
SELECT
    d.id <= $1 AND a.sequence < d.counted_attempts AS is_counted, count(*) AS count, a.provider, a.outcome,
    a.duration_ms
FROM attempts_{partition} AS a
JOIN deliveries_{partition} AS d ON d.id = a.delivery
GROUP BY 1, 3, 4, 5
