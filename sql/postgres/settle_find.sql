-- The newest, because some providers use an id again after long enough. No provider given means any.
SELECT asked.place, newest.id
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[]) AS asked (place, reference, provider)
CROSS JOIN LATERAL (
    SELECT d.id FROM deliveries AS d
    WHERE d.reference = asked.reference AND (asked.provider IS NULL OR d.provider = asked.provider)
    ORDER BY d.id DESC
    LIMIT 1
) AS newest
