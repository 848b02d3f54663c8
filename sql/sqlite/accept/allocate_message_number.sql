-- Returns the number of the next message, once per transaction. AUTOINCREMENT is not used because it writes its counter
-- with every row. Pruned numbers are included, so that no number is used twice.
SELECT max(
    coalesce((SELECT max(number) FROM messages), 0),
    (SELECT value FROM meta WHERE name = 'number_pruned')
) + 1 AS number
