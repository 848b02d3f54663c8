INSERT INTO {table} ({columns}) VALUES ({parameters})
ON CONFLICT ({key}) DO UPDATE SET {sets}
