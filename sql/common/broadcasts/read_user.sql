-- Reads the user with an id.
SELECT number, id, name, contacts, created_at FROM users WHERE id = $1
