-- Selects the receipts that arrived before these sends were recorded. An empty provider matches any provider;
-- a receipt with a sender concerns only messages to it.
SELECT r.status, r.reason, r.at, r.received_at, sent.id
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[], $4::TEXT[]) AS sent (id, reference, provider, address)
JOIN unmatched_receipts AS r ON r.reference = sent.reference AND r.provider IN (sent.provider, '')
WHERE r.sender = '' OR r.sender = coalesce(sent.address, (SELECT d.address FROM deliveries AS d WHERE d.id = sent.id))
ORDER BY sent.id, r.at, r.received_at
