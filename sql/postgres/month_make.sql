-- A partition, made beside the table and then hung in: that waits for nobody who reads or writes. {place}, {first} and
-- {next} are numbers.
CREATE TABLE messages_{place} (LIKE messages INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE messages_{place} ADD UNIQUE (id);
CREATE TABLE deliveries_{place} (LIKE deliveries INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
CREATE TABLE attempts_{place} (LIKE attempts INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE messages ATTACH PARTITION messages_{place} FOR VALUES FROM ({first}) TO ({next});
ALTER TABLE deliveries ATTACH PARTITION deliveries_{place} FOR VALUES FROM ({first} * 64) TO ({next} * 64);
ALTER TABLE attempts ATTACH PARTITION attempts_{place} FOR VALUES FROM ({first} * 64) TO ({next} * 64);
INSERT INTO months (place) VALUES ({place});
