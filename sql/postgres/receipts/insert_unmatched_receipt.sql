-- Inserts unmatched receipts, one row per provider, reference, sender and status: a provider that repeats a receipt does not
-- fill the disk.
INSERT INTO unmatched_receipts (reference, provider, status, reason, at, received_at, sender)
SELECT reference, provider, status, reason, at, received_at, sender
FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::TEXT[])
AS new (reference, provider, status, reason, at, received_at, sender)
ON CONFLICT (reference, provider, sender, status) DO NOTHING
