-- Returns what is already stored of a round: its result, its attempts; and whether a receipt settled the delivery during
-- this round. No row: the delivery does not exist any more.
SELECT
    recorded = ?2 AS is_recorded,
    round = ?2 AND recorded < ?2 AND state <> 'waiting' AS is_settled,
    EXISTS (SELECT 1 FROM attempts WHERE delivery = ?1 AND round = ?2) AS has_attempts
FROM deliveries
WHERE id = ?1
