-- What is on disk of a round already: its end, its attempts. No row: there is no such delivery any more.
SELECT recorded = ?2, EXISTS (SELECT 1 FROM attempts WHERE delivery = ?1 AND round = ?2)
FROM deliveries
WHERE id = ?1
