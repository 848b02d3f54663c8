-- A bulk of new rows wants fresh statistics before the first query.
ANALYZE {tables}
