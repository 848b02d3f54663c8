-- Reads the users with these ids.
SELECT number, id, name, contacts, created_at FROM users WHERE id = ANY ($1)
