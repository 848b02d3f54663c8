-- Returns what is already stored of a round: its result, its attempts. No row: the delivery does not exist any more.
SELECT
    recorded = ?2 AS is_recorded,
    EXISTS (SELECT 1 FROM attempts WHERE delivery = ?1 AND round = ?2) AS has_attempts
FROM deliveries
WHERE id = ?1
