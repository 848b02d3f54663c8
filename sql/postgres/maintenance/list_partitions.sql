-- Lists the partitions, the oldest first.
SELECT partition_number, month, is_detached FROM partitions ORDER BY partition_number
