-- Returns the last attempt of each delivery, and whether any of its attempts has the outcome 'unknown'.
SELECT
    requested.id, last.provider, last.code,
    EXISTS (
        SELECT 1 FROM attempts AS u WHERE u.delivery = requested.id AND u.outcome = 'unknown'
    ) AS has_unknown_attempt
FROM unnest($1::BIGINT[]) AS requested (id)
CROSS JOIN LATERAL (
    SELECT a.provider, a.code FROM attempts AS a
    WHERE a.delivery = requested.id
    ORDER BY a.sequence DESC
    LIMIT 1
) AS last
