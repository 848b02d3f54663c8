-- Rounds that began and have not ended, while their lease lasts.
SELECT count(*) FROM deliveries
WHERE priority IN (0, 1) AND state = 'waiting' AND due_at > CAST(unixepoch('subsec') * 1000 AS INTEGER)
    AND round > recorded
