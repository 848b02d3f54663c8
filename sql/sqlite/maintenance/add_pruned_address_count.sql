INSERT INTO pruned_address_counts (address, count) VALUES (?1, ?2)
ON CONFLICT (address) DO UPDATE SET count = count + ?2
