-- Every transaction that accepts messages holds this lock in shared mode. Taking it in exclusive mode
-- (lock_numbers_exclusive.sql) waits until no allocated number is uncommitted.
SELECT pg_advisory_xact_lock_shared($1)
