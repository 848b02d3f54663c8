-- Reads the last user number. User numbers have no gaps.
SELECT coalesce(max(number), 0) AS number FROM users
