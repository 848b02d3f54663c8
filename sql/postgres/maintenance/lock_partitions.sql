-- Locks `partitions`, so that one process at a time creates, starts and drops partitions. Reading `partitions` does not
-- wait.
LOCK TABLE partitions IN SHARE ROW EXCLUSIVE MODE
