-- Returns whether this server is a replica, and the write-ahead log position it has written (primary) or replayed
-- (replica).
SELECT
    pg_is_in_recovery() AS is_replica,
    pg_wal_lsn_diff(
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0'
    )::BIGINT AS position
