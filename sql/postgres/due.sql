-- Of each channel and each priority so many out of the index in its own order, all in one round trip.
SELECT d.id, d.due_at, asked.channel, rank.priority
FROM unnest($2::TEXT[], $3::BIGINT[]) AS asked (channel, room)
CROSS JOIN (VALUES (0::BIGINT), (1::BIGINT)) AS rank (priority)
CROSS JOIN LATERAL (
    SELECT id, due_at FROM deliveries
    WHERE state = 'waiting' AND channel = asked.channel AND priority = rank.priority AND due_at <= $1
    ORDER BY due_at
    LIMIT asked.room
) AS d
ORDER BY rank.priority, asked.channel, d.due_at
