-- Held until the transaction ends by every transaction that numbers users or broadcasts: numbers have no gaps, and no
-- number appears below one that was already visible.
SELECT pg_advisory_xact_lock($1)
