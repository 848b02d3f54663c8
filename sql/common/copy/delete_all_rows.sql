-- Deletes all rows of a table.
DELETE FROM {table}
