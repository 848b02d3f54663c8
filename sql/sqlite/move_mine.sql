-- Whether the store still knows this move; nobody takes it away before the transaction ends.
UPDATE meta SET value = value WHERE name = 'move' AND value = ?1
