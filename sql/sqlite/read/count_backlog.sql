-- Reads one index only, which lists the channels in order.
SELECT channel, count(*), count(CASE WHEN due_at <= ?1 THEN 1 END), min(CASE WHEN due_at <= ?1 THEN due_at END)
FROM deliveries INDEXED BY deliveries_due
WHERE state = 'waiting'
GROUP BY channel
ORDER BY channel
