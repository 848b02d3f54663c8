-- Once for each hour a transaction touches, not once for each message.
INSERT INTO hours (hour, first_number, last_number) VALUES (?1, ?2, ?3)
ON CONFLICT (hour) DO UPDATE SET
    first_number = min(first_number, excluded.first_number),
    last_number = max(last_number, excluded.last_number)
