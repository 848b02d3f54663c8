-- Everybody who comes after it stands behind whoever waits for a table: better to ask again than to wait long. Shorter
-- than the server's own search for deadlocks. Ends with the transaction.
SET LOCAL lock_timeout = '500ms'
