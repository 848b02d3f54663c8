-- SQLite only: sets the pruned number, so that no message number is used twice.
UPDATE meta SET value = max(value, {last_number}) WHERE name = 'number_pruned'
