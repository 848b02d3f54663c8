-- Adds the deliveries of a detached partition to the pruned counts of their addresses. {partition} is a number.
INSERT INTO pruned_address_counts AS k (address, count)
SELECT address, count(*) FROM deliveries_{partition} GROUP BY address
ON CONFLICT (address) DO UPDATE SET count = k.count + excluded.count
