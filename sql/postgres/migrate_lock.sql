-- Held to the end of the transaction: of ten hosts that start at once one works and nine wait.
SELECT pg_advisory_xact_lock($1)
