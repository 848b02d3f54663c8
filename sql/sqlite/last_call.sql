-- The last call made for a delivery, and whether the end of any of them is unknown.
SELECT
    a.provider, a.code,
    EXISTS (SELECT 1 FROM attempts AS u WHERE u.delivery = a.delivery AND u.outcome = 'unknown')
FROM attempts AS a
WHERE a.delivery = ?1
ORDER BY a.place DESC
LIMIT 1
