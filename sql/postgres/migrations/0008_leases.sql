-- What is in workers' hands: a claim writes one narrow row here and leaves the wide, indexed one alone. While a row
-- stands here its delivery waits, is due when the lease ends, and has gone through so many rounds more than it says
-- itself; the record of a round writes both together. Rounds that began before this table was made stand in
-- `deliveries` alone, and end there.
CREATE TABLE leases (
    id     BIGINT PRIMARY KEY,
    -- Rounds that began since the last one whose end was recorded. 0 only while an operator's or a client's change is
    -- under way: it keeps claims out until its transaction ends.
    claims BIGINT NOT NULL CHECK (claims >= 0),
    until  BIGINT NOT NULL
) WITH (
    -- Rows live for seconds, so what is swept is never far behind what is written.
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 20000
);

-- A record raises the round of a delivery from now on; only a claim began one before.
DROP TRIGGER IF EXISTS move_hold ON deliveries;
