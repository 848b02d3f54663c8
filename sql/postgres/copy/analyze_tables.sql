-- Updates the statistics of the tables: after a bulk insert the planner needs them before the first query.
ANALYZE {tables}
