-- Waits until nobody is in the middle of recording a send.
SELECT pg_advisory_xact_lock($1)
