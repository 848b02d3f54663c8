-- Returns the last allocated message number. No message up to this number becomes visible later, provided that the
-- caller holds the exclusive lock on message numbers, or that all transactions which held this lock in shared mode have
-- ended.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS number FROM message_numbers
