-- Selects the receipts that arrived before these sends were recorded. An empty provider matches any provider.
SELECT r.status, r.reason, r.at, r.received_at, sent.id
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[]) AS sent (id, reference, provider)
JOIN unmatched_receipts AS r ON r.reference = sent.reference AND r.provider IN (sent.provider, '')
ORDER BY sent.id, r.at, r.received_at
