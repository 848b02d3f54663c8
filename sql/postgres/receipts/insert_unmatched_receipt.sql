-- Inserts unmatched receipts, one row per provider, reference and status: a provider that repeats a receipt does not
-- fill the disk.
INSERT INTO unmatched_receipts (reference, provider, status, reason, at, received_at)
SELECT reference, provider, status, reason, at, received_at
FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[])
AS new (reference, provider, status, reason, at, received_at)
ON CONFLICT (reference, provider, status) DO NOTHING
