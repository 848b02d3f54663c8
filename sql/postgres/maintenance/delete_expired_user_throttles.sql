-- Deletes expired user throttles. Locked rows are skipped and deleted by the next prune.
DELETE FROM user_throttles WHERE subject IN (
    SELECT subject FROM user_throttles WHERE expires_hour <= $1 ORDER BY expires_hour LIMIT $2
    FOR UPDATE SKIP LOCKED
)
