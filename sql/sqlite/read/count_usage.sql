-- Counts the newest deliveries, up to a limit that keeps the query fast, by day, user and channel.
SELECT
    user, channel, day, count(*) AS deliveries, sum(state = 'waiting') AS waiting, sum(state = 'sent') AS sent,
    sum(state = 'delivered') AS delivered, sum(state = 'failed') AS failed, sum(is_opened) AS opened,
    sum(parts) AS parts, sum(tries) AS tries
FROM (
    SELECT
        m.user AS user, d.channel AS channel, (m.created_at + ?7) / 86400000 AS day, d.state AS state,
        d.opened_at IS NOT NULL AS is_opened, d.parts AS parts, d.tries AS tries
    FROM messages AS m
    CROSS JOIN deliveries AS d ON d.id BETWEEN m.number << 6 AND m.number << 6 | 63
    WHERE m.number >= ?1 AND m.number < ?2 AND m.created_at >= ?3 AND m.created_at < ?4
        AND (?8 IS NULL OR m.owner = ?8)
    ORDER BY m.number DESC
    LIMIT ?5
)
GROUP BY day, user, channel
ORDER BY day DESC, user, channel
LIMIT ?6
