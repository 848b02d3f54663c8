-- Lists the next users of a broadcast to all users, up to the last user at its creation.
SELECT number, id, name, contacts, created_at FROM users
WHERE number > $1 AND number <= $2
ORDER BY number
LIMIT $3
