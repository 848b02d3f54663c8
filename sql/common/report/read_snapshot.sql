-- Reads the newest report snapshot.
SELECT generation, as_of, content FROM report_snapshots ORDER BY generation DESC LIMIT 1
