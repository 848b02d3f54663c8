-- Counts receipts without a recorded send; stops counting at the limit.
SELECT count(*) AS waiting FROM (SELECT 1 FROM unmatched_receipts LIMIT ?1)
