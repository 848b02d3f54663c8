-- Takes an advisory lock in shared mode until the transaction ends, together with other transactions that take it shared.
SELECT pg_advisory_xact_lock_shared($1)
