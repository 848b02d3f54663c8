-- Lists the channels that have waiting deliveries, including channels that are not configured any more. One index
-- lookup per channel.
WITH RECURSIVE waiting_channels (channel) AS (
    (SELECT channel FROM deliveries WHERE state = 'waiting' ORDER BY channel LIMIT 1)
    UNION ALL
    SELECT next.channel FROM waiting_channels
    CROSS JOIN LATERAL (
        SELECT d.channel FROM deliveries AS d
        WHERE d.state = 'waiting' AND d.channel > waiting_channels.channel
        ORDER BY d.channel
        LIMIT 1
    ) AS next
)
SELECT channel FROM waiting_channels
