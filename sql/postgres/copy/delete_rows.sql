-- Deletes the rows with these keys.
DELETE FROM {table} WHERE ({key}) IN (SELECT * FROM unnest({arrays}))
