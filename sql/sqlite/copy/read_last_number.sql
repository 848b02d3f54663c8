-- Returns the last message number that was allocated.
SELECT max(
    coalesce((SELECT max(number) FROM messages), 0),
    (SELECT value FROM meta WHERE name = 'number_pruned')
)
