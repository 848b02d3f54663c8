-- Deletes the mark that a move is filling the store, so that this transaction may write to the guarded tables. The
-- transaction sets the mark again before it commits, so no other transaction sees the store without it.
DELETE FROM meta WHERE name = 'receiving' AND number = $1
