SELECT {columns} FROM {table} WHERE ({key}) > ({parameters}) ORDER BY {key} LIMIT {limit}
