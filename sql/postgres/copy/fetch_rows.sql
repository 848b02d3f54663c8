SELECT {columns} FROM {table} JOIN unnest({arrays}) AS requested ({key}) USING ({key})
