-- Returns the newest match, because some providers reuse ids after a while. Without a provider, any provider matches.
SELECT asked.place, newest.id
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[]) AS asked (place, reference, provider)
CROSS JOIN LATERAL (
    SELECT d.id FROM deliveries AS d
    WHERE d.reference = asked.reference AND (asked.provider IS NULL OR d.provider = asked.provider)
    ORDER BY d.id DESC
    LIMIT 1
) AS newest
