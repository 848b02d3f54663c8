-- Counts partitions that are being dropped: their rows are no longer part of the tables and not all counted yet.
SELECT count(*) FROM partitions WHERE is_detached
