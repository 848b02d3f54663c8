-- Deletes old inbound messages that were handled as an opt-out or opt-in.
DELETE FROM opt_messages WHERE (provider, reference, channel, address) IN (
    SELECT provider, reference, channel, address FROM opt_messages WHERE received_at < $1 ORDER BY received_at LIMIT $2
)
