-- Deletes pruned messages.
DELETE FROM messages WHERE number = ANY ($1)
