-- Returns the next broadcast whose fan-out is not complete.
SELECT
    number, id, body, channel, caller, owner, created_at, to_all, last_user, users, fan_out_position, messages,
    unreachable, refused, is_fanned_out
FROM broadcasts
WHERE is_fanned_out = 0 AND number > $1
ORDER BY number
LIMIT 1
