-- Shared by all who accept; whoever wants to know below which number nothing is under way takes it alone.
SELECT pg_advisory_xact_lock_shared($1)
