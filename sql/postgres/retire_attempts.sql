-- The attempts of a retired month: one row for all that count alike. {place} is a number.
SELECT d.id <= $1 AND a.place < d.counted_attempts, count(*), a.provider, a.outcome, a.duration_ms
FROM attempts_{place} AS a
JOIN deliveries_{place} AS d ON d.id = a.delivery
GROUP BY 1, 3, 4, 5
