-- Waits until nobody is in the middle of an accept; ends with its own short transaction.
SELECT pg_advisory_xact_lock($1)
