-- Lists broadcasts below a number, newest first.
SELECT
    number, id, body, channel, caller, owner, created_at, to_all, last_user, users, fan_out_position, messages,
    unreachable, refused, is_fanned_out
FROM broadcasts
WHERE number < $1 AND ($2 IS NULL OR owner = $2)
ORDER BY number DESC
LIMIT $3
