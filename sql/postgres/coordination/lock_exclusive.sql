-- Takes an advisory lock until the transaction ends. crates/store/src/postgres/advisory_locks.rs lists the locks.
SELECT pg_advisory_xact_lock($1)
