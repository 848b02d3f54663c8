SELECT
    number, id, body, channel, caller, created_at, to_all, last_user, users, reached, messages, unreachable, refused, spread
FROM broadcasts
WHERE id = $1
