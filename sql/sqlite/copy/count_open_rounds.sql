-- Counts the rounds that have begun and not ended while their lease lasts. One index range per channel skips what is
-- due.
WITH RECURSIVE found (channel) AS (
    SELECT (
        SELECT channel FROM deliveries INDEXED BY deliveries_due WHERE state = 'waiting' ORDER BY channel LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT d.channel FROM deliveries AS d INDEXED BY deliveries_due
        WHERE d.state = 'waiting' AND d.channel > found.channel
        ORDER BY d.channel
        LIMIT 1
    )
    FROM found
    WHERE found.channel IS NOT NULL
)
SELECT count(*)
FROM found
CROSS JOIN (SELECT 0 AS priority UNION ALL SELECT 1) AS each
CROSS JOIN deliveries AS d INDEXED BY deliveries_due
    ON d.channel = found.channel AND d.priority = each.priority AND d.state = 'waiting'
    AND d.due_at > CAST(unixepoch('subsec') * 1000 AS INTEGER)
WHERE found.channel IS NOT NULL AND d.round > d.recorded
