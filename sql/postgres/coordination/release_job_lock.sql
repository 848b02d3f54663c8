-- Marks the job of a lock as done. The lock then only keeps the job from running again before it expires.
UPDATE job_locks SET expires_at = $3, is_done = TRUE WHERE job = $1 AND process_name = $2 AND NOT is_done
