-- Returns the last allocated message number. Every number up to the result is committed or will never be, if the
-- exclusive lock on message numbers is held, or when all transactions have ended that held the lock shared.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS number FROM message_numbers
