-- Lists the next users of a broadcast to all users of its owner, up to the last user at its creation.
SELECT number, id, owner, name, contacts, created_at FROM users
WHERE number > $1 AND number <= $2 AND owner = $3
ORDER BY number
LIMIT $4
