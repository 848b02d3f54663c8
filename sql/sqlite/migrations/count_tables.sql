-- Counts all schema objects except `migrations`. If there are any and the file does not carry our application_id, it
-- belongs to another program.
SELECT count(*) AS count FROM sqlite_schema WHERE name <> 'migrations'
