-- Numbers have no gaps, so the last one is how many there are.
SELECT coalesce(max(number), 0) FROM users
