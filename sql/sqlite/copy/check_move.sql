-- Checks that the store still belongs to this move, and locks the row so that it does until the transaction ends.
UPDATE meta SET value = value WHERE name = 'move_id' AND value = ?1
