-- Limits the time that a statement of this transaction waits for a table lock. Statements that wait for an exclusive
-- table lock block all later ones. The limit is shorter than the server's deadlock_timeout.
SET LOCAL lock_timeout = '250ms'
