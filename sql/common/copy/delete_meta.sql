-- Deletes a value of `meta`.
DELETE FROM meta WHERE name = $1
