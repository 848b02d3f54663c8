-- Pauses claims for a number of milliseconds, see create_claims_guard.sql.
INSERT INTO meta (name, number) VALUES ('claims_paused', (extract(EPOCH FROM clock_timestamp()) * 1000)::BIGINT + $1)
ON CONFLICT (name) DO UPDATE SET number = excluded.number
