-- Created by SQLite's random generator (seeded by the operating system) together with the database.
SELECT value FROM meta WHERE name = 'store_secret'
