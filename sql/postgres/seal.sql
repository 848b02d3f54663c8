SELECT bytes FROM meta WHERE name = 'seal'
