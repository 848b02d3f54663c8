-- Inserts an inbound message that is handled as an opt-out or opt-in, unless it was handled before.
INSERT INTO opt_messages (provider, reference, channel, address, received_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (provider, reference, channel, address) DO NOTHING
