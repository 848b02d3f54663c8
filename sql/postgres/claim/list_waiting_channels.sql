-- Lists the channels that have waiting deliveries, including channels that are not configured any more. One index
-- lookup per channel.
WITH RECURSIVE found (channel) AS (
    (SELECT channel FROM deliveries WHERE state = 'waiting' ORDER BY channel LIMIT 1)
    UNION ALL
    SELECT next.channel FROM found
    CROSS JOIN LATERAL (
        SELECT d.channel FROM deliveries AS d
        WHERE d.state = 'waiting' AND d.channel > found.channel
        ORDER BY d.channel
        LIMIT 1
    ) AS next
)
SELECT channel FROM found
