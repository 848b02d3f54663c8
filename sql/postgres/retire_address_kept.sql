-- As prune_address_kept, for a retired month. {place} is a number.
INSERT INTO addresses_kept AS k (address, count)
SELECT address, count(*) FROM deliveries_{place} GROUP BY address
ON CONFLICT (address) DO UPDATE SET count = k.count + excluded.count
