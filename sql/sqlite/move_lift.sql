-- Whoever takes the mark away may write until it is back, which nobody else sees: all of it is one transaction.
DELETE FROM meta WHERE name = 'receiving' AND value = ?1
