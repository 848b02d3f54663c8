INSERT INTO {table} ({columns}) VALUES ({marks})
ON CONFLICT ({key}) DO UPDATE SET {sets}
