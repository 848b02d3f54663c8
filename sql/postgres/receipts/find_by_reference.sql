-- Returns the newest attempt with each reference, because some providers reuse references after some time. A receipt
-- without a provider matches any provider.
SELECT requested.input_index, newest.id, newest.provider, newest.reference, newest.address
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[]) AS requested (input_index, reference, provider)
CROSS JOIN LATERAL (
    SELECT a.delivery AS id, a.provider, a.reference, a.address FROM attempts AS a
    WHERE a.reference = requested.reference AND a.provider IS NOT NULL
        AND (requested.provider IS NULL OR a.provider = requested.provider)
    ORDER BY a.delivery DESC, a.sequence DESC
    LIMIT 1
) AS newest
