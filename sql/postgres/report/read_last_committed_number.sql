-- Returns the last allocated message number. Runs while the exclusive lock on message numbers is held: every number up
-- to the result is committed or will never be.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS number FROM message_numbers
