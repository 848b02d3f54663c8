-- Returns whether `recipients` has any row. If not, accepting skips the status check of every delivery.
SELECT EXISTS (SELECT 1 FROM recipients) AS has_recipients
