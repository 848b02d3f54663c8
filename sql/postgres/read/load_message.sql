-- Loads messages.
SELECT id, body, "user", created_at, number, subject, owner, sender FROM messages WHERE number = ANY ($1)
