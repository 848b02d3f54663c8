-- Locks the tables: waits for running write transactions, and lets other transactions only read.
LOCK TABLE {tables} IN EXCLUSIVE MODE
