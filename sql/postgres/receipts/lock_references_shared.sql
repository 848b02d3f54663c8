-- Every transaction that records a round holds this lock in shared mode. Storing an unmatched receipt takes it in
-- exclusive mode (lock_references_exclusive.sql), so that neither can miss the other.
SELECT pg_advisory_xact_lock_shared($1)
