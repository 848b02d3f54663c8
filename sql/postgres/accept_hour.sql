INSERT INTO hours (hour, first_number)
SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[])
ON CONFLICT (hour) DO UPDATE SET first_number = least(hours.first_number, excluded.first_number)
