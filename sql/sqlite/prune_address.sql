-- What was not counted yet is missing from the row of an address that still exists; a missing row needs nothing.
UPDATE addresses SET count = count + ?2 WHERE address = ?1
