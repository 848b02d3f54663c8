-- Deletes the unmatched receipts that were applied to these sends.
DELETE FROM unmatched_receipts AS r
USING unnest($1::TEXT[], $2::TEXT[]) AS sent (reference, provider)
WHERE r.reference = sent.reference AND r.provider IN (sent.provider, '')
