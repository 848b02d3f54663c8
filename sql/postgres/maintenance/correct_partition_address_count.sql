-- Adds to the counts of addresses the deliveries of a detached partition that were not counted. {partition} is a
-- number.
UPDATE address_counts AS a SET count = a.count + uncounted.count
FROM (
    SELECT address, count(*) AS count FROM deliveries_{partition}
    WHERE id > $1 OR counted_state IS NULL
    GROUP BY address
) AS uncounted
WHERE a.address = uncounted.address
