UPDATE meta SET value = ?1 WHERE name = 'rollup_position'
