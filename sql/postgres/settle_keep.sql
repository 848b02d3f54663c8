-- A provider that repeats itself fills no disk: one row for each thing it can say.
INSERT INTO receipts (reference, provider, verdict, reason, at, heard_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (reference, provider, verdict) DO NOTHING
