-- Reads one index only, which lists the channels in order.
SELECT
    channel, count(*) AS waiting, count(CASE WHEN due_at <= ?1 THEN 1 END) AS due,
    min(CASE WHEN due_at <= ?1 THEN due_at END) AS oldest_due_at
FROM deliveries INDEXED BY deliveries_due
WHERE state = 'waiting'
GROUP BY channel
ORDER BY channel
