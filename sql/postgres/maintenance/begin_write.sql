-- Begins a transaction that writes. A successful commit must be on disk with every configuration of the server, the
-- database and the user: `synchronous_commit = off` is raised to `on`, stronger settings stay. The server ends the
-- transaction when this host is cut off or frozen, so that its locks are released. JIT is off because compiling takes
-- 200 ms, for statements that run a few milliseconds. Sequential scans are off because every write must find its rows
-- by key, also in a table without statistics. Constraint exclusion is off because it takes a third of the planning time
-- and never helps. All settings end with the transaction.
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL jit = off;
SET LOCAL enable_seqscan = off;
SET LOCAL constraint_exclusion = off;
SET LOCAL idle_in_transaction_session_timeout = '4s';
SELECT set_config('synchronous_commit', 'on', TRUE)
WHERE current_setting('synchronous_commit', TRUE) = 'off';
