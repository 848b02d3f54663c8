-- The transaction that deletes the mark may write to the guarded tables. It sets the mark again before it commits, so
-- no other transaction sees the store without it.
DELETE FROM meta WHERE name = 'receiving' AND value = ?1
