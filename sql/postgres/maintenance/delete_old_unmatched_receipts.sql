-- Deletes old unmatched receipts. Locked rows are skipped and deleted by the next prune.
DELETE FROM unmatched_receipts WHERE (reference, provider, sender, status) IN (
    SELECT reference, provider, sender, status FROM unmatched_receipts WHERE received_at < $1 ORDER BY received_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
