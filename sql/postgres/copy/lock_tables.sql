-- Waits for running write transactions. After that, other transactions can only read.
LOCK TABLE {tables} IN EXCLUSIVE MODE
