-- Rows that are in use are left for the next time.
DELETE FROM receipts WHERE (reference, provider, verdict) IN (
    SELECT reference, provider, verdict FROM receipts WHERE heard_at < $1 ORDER BY heard_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
