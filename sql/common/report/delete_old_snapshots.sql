-- Keeps the newest three, for requests that are just reading one.
DELETE FROM report_snapshots
WHERE generation NOT IN (SELECT generation FROM report_snapshots ORDER BY generation DESC LIMIT 3)
