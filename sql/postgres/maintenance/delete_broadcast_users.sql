-- Deletes the users of old broadcasts.
DELETE FROM broadcast_users WHERE broadcast = ANY ($1)
