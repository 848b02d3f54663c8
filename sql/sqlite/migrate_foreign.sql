-- Tables in a database that is not ours: some other program's file.
SELECT count(*) FROM sqlite_schema WHERE name <> 'migrations'
