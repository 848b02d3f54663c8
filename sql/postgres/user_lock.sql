-- Whoever numbers users or broadcasts does so alone, to the end of his transaction: numbers have no gaps, and none appears
-- below one that was seen.
SELECT pg_advisory_xact_lock($1)
