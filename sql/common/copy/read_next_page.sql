-- Reads the next rows of a table, in the order of the key.
SELECT {columns} FROM {table} WHERE ({key}) > ({parameters}) ORDER BY {key} LIMIT {limit}
