-- Counts the newest deliveries of one user, up to a limit that keeps the query fast, by day and channel. Reads message
-- by message, because the planner does not know that a message has at most 64 deliveries.
SELECT
    "user", channel, day, count(*) AS deliveries, count(*) FILTER (WHERE state = 'waiting') AS waiting,
    count(*) FILTER (WHERE state = 'sent') AS sent, count(*) FILTER (WHERE state = 'delivered') AS delivered,
    count(*) FILTER (WHERE state = 'failed') AS failed, count(opened_at) AS opened, sum(parts)::BIGINT AS parts,
    sum(tries)::BIGINT AS tries
FROM (
    SELECT m."user", (m.created_at + $7) / 86400000 AS day, d.*
    FROM messages AS m
    CROSS JOIN LATERAL (
        SELECT channel, state, opened_at, parts, tries FROM deliveries
        WHERE id BETWEEN m.number << 6 AND m.number << 6 | 63
        LIMIT 64
    ) AS d
    WHERE m."user" = $8 AND m.number >= $1 AND m.number < $2 AND m.created_at >= $3 AND m.created_at < $4
        AND ($9 IS NULL OR m.owner = $9)
    ORDER BY m.number DESC
    LIMIT $5
) AS counted
GROUP BY day, "user", channel
ORDER BY day DESC, "user", channel
LIMIT $6
