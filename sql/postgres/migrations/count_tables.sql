-- Counts all tables of the schema, and those named `migrations`. A schema with tables but without `migrations` belongs
-- to another program.
SELECT count(*) AS count, count(*) FILTER (WHERE tablename = 'migrations') AS migrations_count
FROM pg_tables WHERE schemaname = current_schema()
