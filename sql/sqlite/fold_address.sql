-- A first row begins with what was pruned of the address, so that the index ranks by all there ever was.
INSERT INTO addresses (address, count)
VALUES (?1, ?2 + coalesce((SELECT count FROM addresses_kept WHERE address = ?1), 0))
ON CONFLICT (address) DO UPDATE SET count = count + ?2
