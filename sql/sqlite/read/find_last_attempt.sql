-- Returns the last attempt of a delivery, and whether any of its attempts has the outcome 'unknown'.
SELECT
    a.delivery AS id, a.provider, a.code,
    EXISTS (
        SELECT 1 FROM attempts AS u WHERE u.delivery = a.delivery AND u.outcome = 'unknown'
    ) AS has_unknown_attempt
FROM attempts AS a
WHERE a.delivery = ?1
ORDER BY a.sequence DESC
LIMIT 1
