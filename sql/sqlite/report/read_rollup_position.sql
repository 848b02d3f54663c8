SELECT value FROM meta WHERE name = 'rollup_position'
