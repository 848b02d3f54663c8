-- Inserts events. Copies channel, spelling and message id from the delivery and the message. `offset_in_batch` is the
-- number of events of the same delivery before this one in the batch.
INSERT INTO events (
    delivery, sequence, message, event_target, endpoint, channel, spelling, event_type, failure, reason, provider, at,
    due_or_ended_at
)
SELECT
    d.id, (SELECT coalesce(max(e.sequence), 0) + 1 FROM events AS e WHERE e.delivery = d.id) + new.offset_in_batch,
    m.id, new.event_target, new.endpoint, d.channel, d.spelling, new.event_type, new.failure, new.reason,
    new.provider, new.at, new.due_or_ended_at
FROM unnest(
    $1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::BIGINT[],
    $10::BIGINT[]
) AS new (delivery, offset_in_batch, event_target, endpoint, event_type, failure, reason, provider, at, due_or_ended_at)
JOIN deliveries AS d ON d.id = new.delivery
JOIN messages AS m ON m.number = new.delivery >> 6
WHERE d.id = ANY ($1) AND m.number = ANY ($11::BIGINT[])
