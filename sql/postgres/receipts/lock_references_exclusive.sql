-- Waits until no transaction that records a round is in progress.
SELECT pg_advisory_xact_lock($1)
