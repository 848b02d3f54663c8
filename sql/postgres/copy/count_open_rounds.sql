-- Counts the rounds that have begun and not ended while their lease lasts: those in `leases`, and those that only
-- `deliveries` knows. For the latter, one index range per channel skips the deliveries that are due.
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
SELECT (
    SELECT count(*) FROM leases
    WHERE claims > 0 AND lease_expires_at > (extract(EPOCH FROM clock_timestamp()) * 1000)::BIGINT
) + (
    SELECT coalesce(sum(leased.count), 0)::BIGINT
    FROM waiting_channels CROSS JOIN unnest(ARRAY[0, 1]::BIGINT[]) AS priorities (priority)
    CROSS JOIN LATERAL (
        SELECT count(*) FROM deliveries AS d
        WHERE d.channel = waiting_channels.channel AND d.priority = priorities.priority AND d.state = 'waiting'
            AND d.due_at > (extract(EPOCH FROM statement_timestamp()) * 1000)::BIGINT AND d.round > d.recorded
    ) AS leased
)
