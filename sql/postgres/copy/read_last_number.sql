-- Returns the last message number that was allocated.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM message_numbers
