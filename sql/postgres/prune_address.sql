-- What was not counted yet is missing from the row of an address that still exists; a missing row needs nothing.
UPDATE addresses AS a SET count = a.count + share.count
FROM unnest($1::TEXT[], $2::BIGINT[]) AS share (address, count)
WHERE a.address = share.address
