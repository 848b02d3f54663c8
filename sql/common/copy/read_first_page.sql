-- Reads the first rows of a table, in the order of the key.
SELECT {columns} FROM {table} ORDER BY {key} LIMIT {limit}
