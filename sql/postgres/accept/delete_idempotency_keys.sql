-- Deletes the keys of messages that were rejected after their keys had been inserted.
DELETE FROM idempotency_keys WHERE key = ANY ($1)
