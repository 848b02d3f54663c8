-- Saves the month in which a partition became the current one.
UPDATE partitions SET month = $2 WHERE partition_number = $1
