SELECT {columns} FROM {table} JOIN unnest({arrays}) AS wanted ({key}) USING ({key})
