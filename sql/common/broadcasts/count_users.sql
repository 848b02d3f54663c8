-- Counts the users of an owner.
SELECT count(*) AS number FROM users WHERE owner = $1
