-- Reads the store secret.
SELECT bytes FROM meta WHERE name = 'store_secret'
