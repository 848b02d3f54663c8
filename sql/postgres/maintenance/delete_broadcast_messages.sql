-- Deletes the ranges of message numbers of old broadcasts.
DELETE FROM broadcast_messages WHERE broadcast = ANY ($1)
