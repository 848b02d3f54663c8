-- Whether the store still knows this move; nobody takes it away before the transaction ends.
UPDATE meta SET number = number WHERE name = 'move' AND number = $1
