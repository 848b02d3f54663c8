-- How far the log is written here, or replayed where it comes from another server.
SELECT
    pg_is_in_recovery(),
    pg_wal_lsn_diff(
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0'
    )::BIGINT
