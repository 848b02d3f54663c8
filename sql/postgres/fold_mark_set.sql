UPDATE meta SET number = $1 WHERE name = 'folded'
