-- The last message an hour can have, which PostgreSQL does not keep. Hosts may number the messages of two neighbouring
-- hours in any order, so the hour after the next one is the bound.
UPDATE hours SET last_number = coalesce(
    (SELECT min(later.first_number) FROM hours AS later WHERE later.hour > hours.hour + 1), {numbers}
)
