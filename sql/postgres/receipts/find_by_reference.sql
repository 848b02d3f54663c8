-- Returns the newest attempt with each reference, because some providers reuse references after some time. A receipt
-- without a provider matches any provider; one with a sender concerns only messages to it.
SELECT requested.input_index, newest.id, newest.provider, newest.reference, newest.address
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[], $4::TEXT[]) AS requested (input_index, reference, provider, sender)
CROSS JOIN LATERAL (
    SELECT a.delivery AS id, a.provider, a.reference, a.address FROM attempts AS a
    WHERE a.reference = requested.reference AND a.provider IS NOT NULL
        AND (requested.provider IS NULL OR a.provider = requested.provider)
        AND (
            requested.sender IS NULL
            OR requested.sender = coalesce(a.address, (SELECT d.address FROM deliveries AS d WHERE d.id = a.delivery))
        )
    ORDER BY a.delivery DESC, a.sequence DESC
    LIMIT 1
) AS newest
