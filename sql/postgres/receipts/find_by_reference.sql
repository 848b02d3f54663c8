-- Returns the newest delivery with each reference, because some providers reuse references after some time. A receipt
-- without a provider matches any provider.
SELECT requested.input_index, newest.id
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[]) AS requested (input_index, reference, provider)
CROSS JOIN LATERAL (
    SELECT d.id FROM deliveries AS d
    WHERE d.reference = requested.reference AND (requested.provider IS NULL OR d.provider = requested.provider)
    ORDER BY d.id DESC
    LIMIT 1
) AS newest
