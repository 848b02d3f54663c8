-- Takes an advisory lock in shared mode until the transaction ends.
SELECT pg_advisory_xact_lock_shared($1)
