SELECT
    number, id, body, channel, caller, created_at, to_all, last_user, users, reached, messages, unreachable, refused, spread
FROM broadcasts
WHERE number < ?1
ORDER BY number DESC
LIMIT ?2
