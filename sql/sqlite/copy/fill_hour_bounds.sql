-- Computes the last message number of each hour, which PostgreSQL does not store. Processes may number the messages of
-- two neighbouring hours in any order, so the bound is the first number of the hour after the next.
UPDATE message_hours SET last_number = coalesce(
    (SELECT min(later.first_number) FROM message_hours AS later WHERE later.hour > message_hours.hour + 1),
    {last_number}
)
