-- SQLite has no partitions.
SELECT 0
