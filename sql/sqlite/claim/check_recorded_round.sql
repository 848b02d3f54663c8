-- Returns what is already stored of a round: its result, its attempts. No row: the delivery does not exist any more.
SELECT recorded = ?2, EXISTS (SELECT 1 FROM attempts WHERE delivery = ?1 AND round = ?2)
FROM deliveries
WHERE id = ?1
