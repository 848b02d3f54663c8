-- Adds deliveries that were not counted before they were pruned. An address without a row needs no correction.
UPDATE address_counts SET count = count + ?2 WHERE address = ?1
