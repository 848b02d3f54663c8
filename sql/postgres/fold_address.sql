-- A first row begins with what was pruned of the address, so that the index ranks by all there ever was.
INSERT INTO addresses AS a (address, count)
SELECT new.address, new.count + coalesce(k.count, 0)
FROM unnest($1::TEXT[], $2::BIGINT[]) AS new (address, count)
LEFT JOIN addresses_kept AS k ON k.address = new.address
ON CONFLICT (address) DO UPDATE SET
    count = a.count + excluded.count
        - coalesce((SELECT k.count FROM addresses_kept AS k WHERE k.address = excluded.address), 0)
