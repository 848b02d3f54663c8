-- Creates the tables of a partition and attaches them. Attaching existing tables does not block reads and writes of the
-- other partitions. {partition}, {first} and {next} are numbers.
CREATE TABLE messages_{partition} (LIKE messages INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE messages_{partition} ADD UNIQUE (id);
CREATE TABLE deliveries_{partition} (LIKE deliveries INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
CREATE TABLE attempts_{partition} (LIKE attempts INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE messages ATTACH PARTITION messages_{partition} FOR VALUES FROM ({first}) TO ({next});
ALTER TABLE deliveries ATTACH PARTITION deliveries_{partition} FOR VALUES FROM ({first} * 64) TO ({next} * 64);
ALTER TABLE attempts ATTACH PARTITION attempts_{partition} FOR VALUES FROM ({first} * 64) TO ({next} * 64);
INSERT INTO partitions (partition_number) VALUES ({partition});
