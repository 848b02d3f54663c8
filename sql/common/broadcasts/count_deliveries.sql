-- Counts the deliveries of a broadcast by state, with one reason of each kind. Reads the deliveries of each range of message numbers in one index
-- range scan.
SELECT
    count(*) AS messages,
    coalesce(sum(CASE WHEN d.state = 'waiting' THEN 1 ELSE 0 END), 0) AS waiting,
    coalesce(sum(CASE WHEN d.state = 'sent' THEN 1 ELSE 0 END), 0) AS unconfirmed,
    coalesce(sum(CASE WHEN d.state = 'delivered' THEN 1 ELSE 0 END), 0) AS received,
    coalesce(sum(CASE WHEN d.state = 'failed' THEN 1 ELSE 0 END), 0) AS failed,
    coalesce(sum(CASE WHEN d.opened_at IS NOT NULL THEN 1 ELSE 0 END), 0) AS opened,
    max(CASE WHEN d.state = 'waiting' THEN d.reason END) AS waiting_reason,
    min(CASE WHEN d.state = 'waiting' THEN d.due_at END) AS next_try_at,
    max(CASE WHEN d.state = 'failed' THEN d.reason END) AS failed_reason
FROM broadcast_messages AS b
JOIN deliveries AS d ON d.id >= b.first_number * 64 AND d.id < (b.last_number + 1) * 64
WHERE b.broadcast = $1
