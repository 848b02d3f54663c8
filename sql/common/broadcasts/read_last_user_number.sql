-- Reads the last user number. User numbers have no gaps, so it is also the number of users.
SELECT coalesce(max(number), 0) AS number FROM users
