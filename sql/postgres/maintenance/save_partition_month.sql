UPDATE partitions SET month = $2 WHERE partition_number = $1
