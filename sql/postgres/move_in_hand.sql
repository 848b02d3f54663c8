-- Rounds that began and have not ended, while their lease lasts.
SELECT count(*) FROM deliveries
WHERE priority IN (0, 1) AND state = 'waiting' AND due_at > (extract(EPOCH FROM clock_timestamp()) * 1000)::BIGINT
    AND round > recorded
