-- Lists the inbound messages of one API key, newest first.
SELECT
    id, provider, reference, channel, sender, receiver, body, is_incomplete, sent_at, received_at, action, in_reply_to,
    account, route, target, forwarded_at
FROM inbound_messages
WHERE account = $1 AND account <> '' AND id >= $2 AND id < $3
    AND (CAST($4 AS TEXT) IS NULL OR receiver = $4) AND (CAST($5 AS TEXT) IS NULL OR provider = $5)
ORDER BY id DESC
LIMIT $6
