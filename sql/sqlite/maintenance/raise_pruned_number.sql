UPDATE meta SET value = max(value, ?1) WHERE name = 'number_pruned'
