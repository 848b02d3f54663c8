-- Serialises writes of provider health and provider controls, and the first row of a rate limiter. An advisory lock,
-- because a row that does not exist yet cannot be locked.
SELECT pg_advisory_xact_lock($1)
