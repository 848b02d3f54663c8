SELECT
    number, id, body, channel, caller, created_at, to_all, last_user, users, reached, messages, unreachable, refused, spread
FROM broadcasts
WHERE spread = 0 AND number > ?1
ORDER BY number
LIMIT 1
