-- The last call made for each delivery, and whether the end of any of them is unknown.
SELECT
    asked.id, last.provider, last.code,
    EXISTS (SELECT 1 FROM attempts AS u WHERE u.delivery = asked.id AND u.outcome = 'unknown')
FROM unnest($1::BIGINT[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT a.provider, a.code FROM attempts AS a
    WHERE a.delivery = asked.id
    ORDER BY a.place DESC
    LIMIT 1
) AS last
