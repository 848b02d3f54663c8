-- Stores an inbound message, unless the provider has repeated one.
INSERT INTO inbound_messages (
    id, provider, reference, channel, sender, receiver, body, is_incomplete, sent_at, received_at, action, in_reply_to,
    account, route, target
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (provider, reference) WHERE reference IS NOT NULL DO NOTHING
