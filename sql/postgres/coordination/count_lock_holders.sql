-- Counts those of the given transactions that still hold an advisory lock in shared mode.
SELECT count(*) AS count FROM pg_locks AS l
WHERE l.locktype = 'advisory' AND l.mode = 'ShareLock' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database())
    AND l.classid::BIGINT = $1 >> 32 AND l.objid::BIGINT = $1 & 4294967295
    AND l.virtualtransaction = ANY ($2)
