-- Lists the inbound messages of one sender, newest first.
SELECT
    id, provider, reference, channel, sender, receiver, body, is_incomplete, sent_at, received_at, action, in_reply_to,
    account, route, target, forwarded_at
FROM inbound_messages
WHERE sender = $1 AND id >= $2 AND id < $3
    AND (CAST($4 AS TEXT) IS NULL OR receiver = $4) AND (CAST($5 AS TEXT) IS NULL OR provider = $5)
    AND (CAST($6 AS TEXT) IS NULL OR account = $6)
ORDER BY id DESC
LIMIT $7
