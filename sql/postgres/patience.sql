-- Everybody who comes after it stands behind whoever waits for a table alone: better not to get it than to wait long.
-- Shorter than the server's own search for deadlocks. Ends with the transaction.
SET LOCAL lock_timeout = '250ms'
