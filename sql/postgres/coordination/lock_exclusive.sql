-- Takes an advisory lock until the transaction ends. Several statements need a lock on something that has no row.
SELECT pg_advisory_xact_lock($1)
