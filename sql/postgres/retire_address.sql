-- As prune_address, for a retired month: what was not counted yet. {place} is a number.
UPDATE addresses AS a SET count = a.count + share.count
FROM (
    SELECT address, count(*) AS count FROM deliveries_{place} WHERE id > $1 OR counted_state IS NULL GROUP BY address
) AS share
WHERE a.address = share.address
