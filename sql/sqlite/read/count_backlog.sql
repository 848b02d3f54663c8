-- Counts the waiting and the due deliveries by channel. Reads one index only, which lists the channels in order, and the
-- message of the oldest delivery of each channel: every index entry contains the id.
SELECT
    counted.channel, counted.waiting, counted.due, counted.oldest_due_at,
    (SELECT m.created_at FROM messages AS m WHERE m.number = counted.oldest_id >> 6) AS oldest_accepted_at
FROM (
    SELECT
        channel, count(*) AS waiting, count(CASE WHEN due_at <= ?1 THEN 1 END) AS due,
        min(CASE WHEN due_at <= ?1 THEN due_at END) AS oldest_due_at, min(id) AS oldest_id
    FROM deliveries INDEXED BY deliveries_due
    WHERE state = 'waiting'
    GROUP BY channel
) AS counted
ORDER BY counted.channel
