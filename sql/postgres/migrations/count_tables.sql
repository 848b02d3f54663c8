-- Counts all tables of the schema, and those named `migrations`. A schema with tables but without `migrations` belongs
-- to another program.
SELECT count(*), count(*) FILTER (WHERE tablename = 'migrations') FROM pg_tables WHERE schemaname = current_schema()
