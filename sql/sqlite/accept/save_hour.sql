-- Executed once per hour that a transaction touches, not once per message.
INSERT INTO message_hours (hour, first_number, last_number) VALUES (?1, ?2, ?3)
ON CONFLICT (hour) DO UPDATE SET
    first_number = min(first_number, excluded.first_number),
    last_number = max(last_number, excluded.last_number)
