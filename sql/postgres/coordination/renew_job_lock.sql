-- Renews a job lock that the process holds.
UPDATE job_locks SET expires_at = $3 WHERE job = $1 AND process_name = $2 AND NOT is_done
