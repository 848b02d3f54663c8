-- Whoever writes what the fleet knows is alone; it happens rarely. A row that is not there yet cannot be locked.
SELECT pg_advisory_xact_lock($1)
