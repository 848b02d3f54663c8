-- An answer must mean that the commit is on disk, whatever the server, the database or the user is set to; stronger
-- settings are left as they are. It ends with the transaction.
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SELECT set_config('synchronous_commit', 'on', TRUE)
WHERE current_setting('synchronous_commit', TRUE) = 'off';
