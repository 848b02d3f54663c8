-- What only this dialect keeps: numbers are never given out twice.
UPDATE meta SET value = max(value, {numbers}) WHERE name = 'number_pruned'
