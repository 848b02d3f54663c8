-- Receipts that came before the sends were recorded. An empty provider stands for any.
SELECT r.verdict, r.reason, r.at, r.heard_at, sent.id
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[]) AS sent (id, reference, provider)
JOIN receipts AS r ON r.reference = sent.reference AND r.provider IN (sent.provider, '')
ORDER BY sent.id, r.at, r.heard_at
