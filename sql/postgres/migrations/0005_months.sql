-- The three tables that grow are kept by month: a partition covers 2^36 message numbers, and at the beginning of a
-- month the next partition's numbers begin (months.rs). What is there becomes the first partition, unmoved; it is
-- read once, because the server has to see that nothing in it lies outside.
DROP VIEW notifications;

ALTER TABLE messages RENAME TO messages_0;
ALTER TABLE deliveries RENAME TO deliveries_0;
ALTER TABLE attempts RENAME TO attempts_0;

ALTER INDEX messages_pkey RENAME TO messages_0_pkey;
ALTER INDEX messages_id_key RENAME TO messages_0_id_key;
ALTER INDEX deliveries_pkey RENAME TO deliveries_0_pkey;
ALTER INDEX deliveries_due RENAME TO deliveries_0_due;
ALTER INDEX deliveries_ended RENAME TO deliveries_0_ended;
ALTER INDEX deliveries_address RENAME TO deliveries_0_address;
ALTER INDEX deliveries_reference RENAME TO deliveries_0_reference;
ALTER INDEX deliveries_recount RENAME TO deliveries_0_recount;
ALTER INDEX attempts_pkey RENAME TO attempts_0_pkey;

-- A message's id is unique within its month: the server can promise no more without keeping the months together.
-- Ids begin with the time, so that is enough.
CREATE TABLE messages (LIKE messages_0 INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (number);
ALTER TABLE messages ADD PRIMARY KEY (number);

CREATE TABLE deliveries (LIKE deliveries_0 INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)
    PARTITION BY RANGE (id);

CREATE TABLE attempts (LIKE attempts_0 INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)
    PARTITION BY RANGE (delivery);

ALTER TABLE messages ATTACH PARTITION messages_0 FOR VALUES FROM (MINVALUE) TO (68719476736);
ALTER TABLE deliveries ATTACH PARTITION deliveries_0 FOR VALUES FROM (MINVALUE) TO (4398046511104);
ALTER TABLE attempts ATTACH PARTITION attempts_0 FOR VALUES FROM (MINVALUE) TO (4398046511104);

-- The partitions there are. The month (those since the year 0, in UTC) is null until numbers are given out there. A
-- retired one is no part of the tables any more, and goes as soon as the report has counted it.
CREATE TABLE months (
    place   BIGINT PRIMARY KEY,
    month   BIGINT,
    retired BOOLEAN NOT NULL DEFAULT FALSE
);

INSERT INTO months (place) VALUES (0);

-- For people's own queries: one line for each delivery, in the columns they know.
CREATE VIEW notifications AS
SELECT
    d.id                                                            AS id,
    d.spelling                                                      AS mobile,
    coalesce(p.host, '')                                            AS server,
    coalesce(p.port, 0)                                             AS port,
    CASE WHEN d.state IN ('sent', 'delivered') THEN 1 ELSE 0 END    AS status,
    CASE
        WHEN NOT d.recount AND d.id <= (SELECT number FROM meta WHERE name = 'folded') THEN 1
        ELSE 0
    END                                                             AS synced,
    CASE WHEN d.channel = 'sms' THEN 1 ELSE 0 END                   AS type,
    to_char(to_timestamp(m.created_at / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS created_at,
    m.body                                                          AS body
FROM deliveries AS d
JOIN messages AS m ON m.number = d.id >> 6
LEFT JOIN providers AS p ON p.name = d.provider;
