-- Detaches the tables of a partition. {partition} is a number.
ALTER TABLE messages DETACH PARTITION messages_{partition};
ALTER TABLE deliveries DETACH PARTITION deliveries_{partition};
ALTER TABLE attempts DETACH PARTITION attempts_{partition};
UPDATE partitions SET is_detached = TRUE WHERE partition_number = {partition};
