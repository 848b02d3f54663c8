-- Statements that wait for an exclusive table lock block all later ones, so give up early and try again later. Shorter
-- than the server's deadlock_timeout. Ends with the transaction.
SET LOCAL lock_timeout = '250ms'
