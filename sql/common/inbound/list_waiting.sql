-- Lists the inbound messages of one API key that a kind of target has not confirmed, oldest first.
SELECT
    id, provider, reference, channel, sender, receiver, body, is_incomplete, sent_at, received_at, action, in_reply_to,
    account, route, target, forwarded_at
FROM inbound_messages
WHERE target = $1 AND account = $2 AND forwarded_at IS NULL
ORDER BY id
LIMIT $3
