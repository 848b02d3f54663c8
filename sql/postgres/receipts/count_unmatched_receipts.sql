-- Counts unmatched receipts, and stops counting at the limit.
SELECT count(*) AS waiting FROM (SELECT 1 FROM unmatched_receipts LIMIT $1) AS counted
