-- Lists the users with an id, one for each owner, oldest first.
SELECT number, id, owner, name, contacts, created_at FROM users WHERE id = $1 ORDER BY number
