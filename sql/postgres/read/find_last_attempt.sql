-- Returns the last attempt of each delivery, and whether any of its attempts has the outcome 'unknown'.
SELECT
    asked.id, last.provider, last.code,
    EXISTS (SELECT 1 FROM attempts AS u WHERE u.delivery = asked.id AND u.outcome = 'unknown')
FROM unnest($1::BIGINT[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT a.provider, a.code FROM attempts AS a
    WHERE a.delivery = asked.id
    ORDER BY a.sequence DESC
    LIMIT 1
) AS last
