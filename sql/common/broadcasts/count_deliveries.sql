-- Counts the deliveries of a broadcast by state. Reads the deliveries of each range of message numbers in one index
-- range scan.
SELECT
    count(*) AS messages,
    coalesce(sum(CASE WHEN d.state = 'waiting' THEN 1 ELSE 0 END), 0) AS waiting,
    coalesce(sum(CASE WHEN d.state = 'sent' THEN 1 ELSE 0 END), 0) AS unconfirmed,
    coalesce(sum(CASE WHEN d.state = 'delivered' THEN 1 ELSE 0 END), 0) AS received,
    coalesce(sum(CASE WHEN d.state = 'failed' THEN 1 ELSE 0 END), 0) AS failed,
    coalesce(sum(CASE WHEN d.opened_at IS NOT NULL THEN 1 ELSE 0 END), 0) AS opened
FROM broadcast_messages AS b
JOIN deliveries AS d ON d.id >= b.first_number * 64 AND d.id < (b.last_number + 1) * 64
WHERE b.broadcast = $1
