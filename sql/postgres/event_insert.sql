-- Channel, spelling and the message's name stand in the delivery and the message already. A delivery has at most as many
-- rows here as happened to it in one statement; `ahead` counts those of the same delivery before it.
INSERT INTO events (
    delivery, sequence, message, watch, lane, channel, spelling, what, failure, reason, provider, at, moment
)
SELECT
    d.id, (SELECT coalesce(max(e.sequence), 0) + 1 FROM events AS e WHERE e.delivery = d.id) + h.ahead,
    m.id, h.watch, h.lane, d.channel, d.spelling, h.what, h.failure, h.reason, h.provider, h.at, h.moment
FROM unnest(
    $1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::BIGINT[],
    $10::BIGINT[]
) AS h (delivery, ahead, watch, lane, what, failure, reason, provider, at, moment)
JOIN deliveries AS d ON d.id = h.delivery
JOIN messages AS m ON m.number = h.delivery >> 6
WHERE d.id = ANY ($1) AND m.number = ANY ($11::BIGINT[])
