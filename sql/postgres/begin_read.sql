-- One moment's truth. The server gives the transaction up when our host is cut off or frozen.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL idle_in_transaction_session_timeout = '4s';
