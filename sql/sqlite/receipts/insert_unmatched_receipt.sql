-- One row per provider, reference, sender and status: a provider that repeats a receipt does not fill the disk.
INSERT INTO unmatched_receipts (reference, provider, status, reason, at, received_at, sender)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (reference, provider, sender, status) DO NOTHING
