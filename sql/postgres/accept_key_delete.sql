-- Of messages that were turned away after their keys had been taken.
DELETE FROM keys WHERE key = ANY ($1)
