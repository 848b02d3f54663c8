-- Lists every table with its columns in order, and the position of each column in the primary key (0: not part of it).
SELECT t.name, c.name, c.type, c.pk
FROM sqlite_schema AS t
JOIN pragma_table_info(t.name) AS c
WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite~_%' ESCAPE '~'
ORDER BY t.name, c.cid
