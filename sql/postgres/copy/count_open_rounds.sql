-- Counts the rounds that have begun and not ended while their lease lasts: those in `leases`, and those that only
-- `deliveries` knows. For the latter, one index range per channel skips what is due.
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
SELECT (
    SELECT count(*) FROM leases
    WHERE claims > 0 AND lease_expires_at > (extract(EPOCH FROM clock_timestamp()) * 1000)::BIGINT
) + (
    SELECT coalesce(sum(later.count), 0)::BIGINT
    FROM found CROSS JOIN unnest(ARRAY[0, 1]::BIGINT[]) AS each (priority)
    CROSS JOIN LATERAL (
        SELECT count(*) FROM deliveries AS d
        WHERE d.channel = found.channel AND d.priority = each.priority AND d.state = 'waiting'
            AND d.due_at > (extract(EPOCH FROM statement_timestamp()) * 1000)::BIGINT AND d.round > d.recorded
    ) AS later
)
