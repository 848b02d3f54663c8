-- A few older ones stay for whoever is just reading one.
DELETE FROM snapshots
WHERE generation NOT IN (SELECT generation FROM snapshots ORDER BY generation DESC LIMIT 3)
