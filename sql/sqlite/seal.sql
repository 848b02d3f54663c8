-- Made by SQLite's own generator, seeded by the system, when the database was made.
SELECT value FROM meta WHERE name = 'seal'
