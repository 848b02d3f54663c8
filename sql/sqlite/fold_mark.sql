SELECT value FROM meta WHERE name = 'folded'
