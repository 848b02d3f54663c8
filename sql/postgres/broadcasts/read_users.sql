-- Reads the users with these ids that belong to any of these owners.
SELECT number, id, owner, name, contacts, created_at FROM users WHERE id = ANY ($1) AND owner = ANY ($2)
