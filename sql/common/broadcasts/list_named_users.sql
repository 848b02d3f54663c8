-- Lists the next users of a broadcast that does not go to all users.
SELECT u.number, u.id, u.owner, u.name, u.contacts, u.created_at
FROM broadcast_users AS b
JOIN users AS u ON u.number = b.user_number
WHERE b.broadcast = $1 AND b.user_number > $2
ORDER BY b.user_number
LIMIT $3
