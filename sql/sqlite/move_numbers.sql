-- The last message number that was given out.
SELECT max(
    coalesce((SELECT max(number) FROM messages), 0),
    (SELECT value FROM meta WHERE name = 'number_pruned')
)
