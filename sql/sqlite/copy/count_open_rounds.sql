-- Counts the rounds that have begun and not ended while their lease lasts. One index range per channel skips what is
-- due.
WITH RECURSIVE waiting_channels (channel) AS (
    SELECT (
        SELECT channel FROM deliveries INDEXED BY deliveries_due WHERE state = 'waiting' ORDER BY channel LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT d.channel FROM deliveries AS d INDEXED BY deliveries_due
        WHERE d.state = 'waiting' AND d.channel > waiting_channels.channel
        ORDER BY d.channel
        LIMIT 1
    )
    FROM waiting_channels
    WHERE waiting_channels.channel IS NOT NULL
)
SELECT count(*)
FROM waiting_channels
CROSS JOIN (SELECT 0 AS priority UNION ALL SELECT 1) AS priorities
CROSS JOIN deliveries AS d INDEXED BY deliveries_due
    ON d.channel = waiting_channels.channel AND d.priority = priorities.priority AND d.state = 'waiting'
    AND d.due_at > CAST(unixepoch('subsec') * 1000 AS INTEGER)
WHERE waiting_channels.channel IS NOT NULL AND d.round > d.recorded
