-- An answer must mean that the commit is on disk, whatever the server, the database or the user is set to; stronger
-- settings are left as they are. When our host is cut off or frozen the server gives the transaction up, so that
-- others do not wait for what it holds. Compiling a statement of a few milliseconds takes two hundred. Whoever writes
-- knows his rows: a walk over a table is never better, whatever the planner makes of a table it has not looked at; and
-- nothing is learned from the checks on columns, which takes a third of the planning. All of it ends with the transaction.
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL jit = off;
SET LOCAL enable_seqscan = off;
SET LOCAL constraint_exclusion = off;
SET LOCAL idle_in_transaction_session_timeout = '4s';
SELECT set_config('synchronous_commit', 'on', TRUE)
WHERE current_setting('synchronous_commit', TRUE) = 'off';
