SELECT
    id, provider, reference, channel, sender, receiver, body, is_incomplete, sent_at, received_at, action, in_reply_to,
    account, route, target, forwarded_at
FROM inbound_messages
WHERE id = $1
