-- Adds deliveries that were not counted before they were pruned. An address without a row needs no correction.
UPDATE address_counts AS a SET count = a.count + share.count
FROM unnest($1::TEXT[], $2::BIGINT[]) AS share (address, count)
WHERE a.address = share.address
