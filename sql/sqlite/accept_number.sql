-- The number for the next message, read once a transaction: SQLite's AUTOINCREMENT would write its counter with
-- every row. Pruned numbers are remembered, so that no number is given out twice.
SELECT max(
    coalesce((SELECT max(number) FROM messages), 0),
    (SELECT value FROM meta WHERE name = 'number_pruned')
) + 1
