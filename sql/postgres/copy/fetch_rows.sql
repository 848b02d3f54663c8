-- Returns the rows with these keys.
SELECT {columns} FROM {table} JOIN unnest({arrays}) AS requested ({key}) USING ({key})
