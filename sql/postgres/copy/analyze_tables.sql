-- After a bulk insert the planner needs new statistics before the first query.
ANALYZE {tables}
