-- Behind the lock of accept: up to this number whatever was to come has come.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM message_numbers
