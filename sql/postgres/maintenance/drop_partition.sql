DROP TABLE messages_{partition}, deliveries_{partition}, attempts_{partition};
DELETE FROM partitions WHERE partition_number = {partition};
