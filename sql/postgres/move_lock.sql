-- Waits for transactions under way; from then on only reading is possible.
LOCK TABLE {tables} IN EXCLUSIVE MODE
