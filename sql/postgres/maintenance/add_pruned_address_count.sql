-- Adds pruned deliveries to the pruned counts of their addresses.
INSERT INTO pruned_address_counts AS k (address, count)
SELECT * FROM unnest($1::TEXT[], $2::BIGINT[])
ON CONFLICT (address) DO UPDATE SET count = k.count + excluded.count
