-- Inserts the event of an inbound message. Another message with the same key, which is possible within a millisecond,
-- leaves the next sequence number.
INSERT INTO events (
    delivery, sequence, message, event_target, endpoint, channel, spelling, event_type, provider, at, due_or_ended_at
)
VALUES (
    $1, (SELECT coalesce(max(e.sequence), 0) + 1 FROM events AS e WHERE e.delivery = $1), $2, $3, $4, $5, $6,
    'received', $7, $8, $8
)
