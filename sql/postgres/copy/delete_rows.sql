DELETE FROM {table} WHERE ({key}) IN (SELECT * FROM unnest({arrays}))
