-- Adds to the counts of addresses the deliveries that were pruned before they were counted. An address without a row
-- needs no correction.
UPDATE address_counts AS a SET count = a.count + uncounted.count
FROM unnest($1::TEXT[], $2::BIGINT[]) AS uncounted (address, count)
WHERE a.address = uncounted.address
