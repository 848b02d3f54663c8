-- Returns the number of the next message.
SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END AS number FROM message_numbers
