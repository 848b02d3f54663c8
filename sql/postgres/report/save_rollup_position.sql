UPDATE meta SET number = $1 WHERE name = 'rollup_position'
