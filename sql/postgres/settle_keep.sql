-- A provider that repeats itself fills no disk: one row for each thing it can say.
INSERT INTO receipts (reference, provider, verdict, reason, at, heard_at)
SELECT reference, provider, verdict, reason, at, heard_at
FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[])
AS early (reference, provider, verdict, reason, at, heard_at)
ON CONFLICT (reference, provider, verdict) DO NOTHING
