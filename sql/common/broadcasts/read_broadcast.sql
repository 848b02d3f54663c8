-- Reads the broadcast with an id.
SELECT
    number, id, body, channel, caller, owner, created_at, to_all, last_user, users, fan_out_position, messages,
    unreachable, refused, is_fanned_out
FROM broadcasts
WHERE id = $1
