-- Held until the transaction ends: of several processes that start at once, one applies the schema and the others wait.
SELECT pg_advisory_xact_lock($1)
