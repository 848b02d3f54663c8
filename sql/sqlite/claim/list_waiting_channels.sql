-- Lists the channels that have waiting deliveries, including channels that are not configured any more. One index
-- lookup per channel.
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
SELECT channel FROM found WHERE channel IS NOT NULL
