-- Skips message numbers. Sets the sequence as already used (TRUE), so that report/read_last_committed_number.sql
-- returns this number.
SELECT setval('message_numbers', $1, TRUE)
