-- Reads the owner of a job lock.
SELECT process_name, acquired_at, expires_at, is_done FROM job_locks WHERE job = $1
