-- Lists inbound messages, newest first. The ids of a time range are a range of ids.
SELECT
    id, provider, reference, channel, sender, receiver, body, is_incomplete, sent_at, received_at, action, in_reply_to,
    account, route, target, forwarded_at
FROM inbound_messages
WHERE id >= $1 AND id < $2
    AND (CAST($3 AS TEXT) IS NULL OR receiver = $3) AND (CAST($4 AS TEXT) IS NULL OR provider = $4)
ORDER BY id DESC
LIMIT $5
