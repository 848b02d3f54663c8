-- Returns the number of the newest applied migration, or 0.
SELECT coalesce(max(number), 0)::BIGINT AS number FROM migrations
