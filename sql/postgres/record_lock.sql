-- Shared by all who record a send; whoever keeps an early receipt takes it alone, so that the two cannot miss
-- each other.
SELECT pg_advisory_xact_lock_shared($1)
