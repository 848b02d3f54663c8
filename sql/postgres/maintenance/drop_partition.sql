-- Drops the tables of a detached partition. {partition} is a number.
DROP TABLE messages_{partition}, deliveries_{partition}, attempts_{partition};
DELETE FROM partitions WHERE partition_number = {partition};
