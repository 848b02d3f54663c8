-- Returns whether the result and the attempts of a round are stored, and whether a receipt settled the delivery during
-- the round. Returns no row if the delivery no longer exists.
SELECT
    recorded = ?2 AS is_recorded,
    round = ?2 AND recorded < ?2 AND state <> 'waiting' AS is_settled,
    EXISTS (SELECT 1 FROM attempts WHERE delivery = ?1 AND round = ?2) AS has_attempts
FROM deliveries
WHERE id = ?1
