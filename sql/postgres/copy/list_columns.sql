-- Lists every table with its columns in order, and the position of each column in the primary key (0: not part of it).
-- Partitions are read through their parent tables. A detached partition is not listed, because none of its rows is
-- copied.
SELECT
    t.relname::TEXT, c.attname::TEXT, format_type(c.atttypid, NULL),
    coalesce(array_position(k.indkey::INT2[], c.attnum) + 1, 0)::BIGINT
FROM pg_class AS t
JOIN pg_attribute AS c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
LEFT JOIN pg_index AS k ON k.indrelid = t.oid AND k.indisprimary
WHERE t.relnamespace = current_schema()::REGNAMESPACE AND t.relkind IN ('r', 'p') AND NOT t.relispartition
    AND t.relname !~ '^(messages|deliveries|attempts)_[0-9]+$'
ORDER BY t.relname, c.attnum
