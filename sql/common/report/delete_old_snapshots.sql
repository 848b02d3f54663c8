-- Deletes all report snapshots but the newest three, which requests may be reading.
DELETE FROM report_snapshots
WHERE generation NOT IN (SELECT generation FROM report_snapshots ORDER BY generation DESC LIMIT 3)
