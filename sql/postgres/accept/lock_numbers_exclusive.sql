-- Waits until no transaction that accepts messages is in progress. Released at the end of its own short transaction.
SELECT pg_advisory_xact_lock($1)
