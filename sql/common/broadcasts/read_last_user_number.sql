-- User numbers have no gaps, so the last number is also the number of users.
SELECT coalesce(max(number), 0) AS number FROM users
