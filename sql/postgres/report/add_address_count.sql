-- Adds deliveries to the counts of their addresses. A new row starts with the pruned count of the address, so that the
-- index ranks addresses by their total.
INSERT INTO address_counts AS a (address, count)
SELECT new.address, new.count + coalesce(k.count, 0)
FROM unnest($1::TEXT[], $2::BIGINT[]) AS new (address, count)
LEFT JOIN pruned_address_counts AS k ON k.address = new.address
ON CONFLICT (address) DO UPDATE SET
    count = a.count + excluded.count
        - coalesce((SELECT k.count FROM pruned_address_counts AS k WHERE k.address = excluded.address), 0)
