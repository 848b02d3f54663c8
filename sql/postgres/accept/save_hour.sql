-- Saves the first message number of each hour, and keeps the smallest number of an hour.
INSERT INTO message_hours (hour, first_number)
SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[])
ON CONFLICT (hour) DO UPDATE SET first_number = least(message_hours.first_number, excluded.first_number)
