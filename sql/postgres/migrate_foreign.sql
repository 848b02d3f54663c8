-- Tables in a schema that is not ours: some other program's. None that is called migrations either.
SELECT count(*), count(*) FILTER (WHERE tablename = 'migrations') FROM pg_tables WHERE schemaname = current_schema()
