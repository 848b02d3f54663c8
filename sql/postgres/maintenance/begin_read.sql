-- Begins a read-only transaction whose statements all see the same snapshot. The server ends the transaction when this
-- host is cut off or frozen. JIT is off because compiling takes 200 ms, for statements that run a few milliseconds.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL jit = off;
SET LOCAL idle_in_transaction_session_timeout = '4s';
