-- How many receipts wait for the record of their send; stops counting at the limit.
SELECT count(*) FROM (SELECT 1 FROM receipts LIMIT $1) AS waiting
