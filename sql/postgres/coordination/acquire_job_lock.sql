-- Acquires a job lock that is free: one that has expired, or that expires later than any lock can and was therefore set
-- by a wrong clock.
INSERT INTO job_locks (job, process_name, acquired_at, expires_at, is_done)
VALUES ($1, $2, $3, $4, FALSE)
ON CONFLICT (job) DO UPDATE SET
    process_name = excluded.process_name, acquired_at = excluded.acquired_at, expires_at = excluded.expires_at,
    is_done = FALSE
WHERE job_locks.expires_at <= $3 OR job_locks.expires_at > $5
