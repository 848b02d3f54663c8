-- A new row starts with the pruned count of the address, so that the index ranks addresses by their total.
INSERT INTO address_counts (address, count)
VALUES (?1, ?2 + coalesce((SELECT count FROM pruned_address_counts WHERE address = ?1), 0))
ON CONFLICT (address) DO UPDATE SET count = count + ?2
