INSERT INTO meta (name, number) VALUES ('held', (extract(EPOCH FROM clock_timestamp()) * 1000)::BIGINT + $1)
ON CONFLICT (name) DO UPDATE SET number = excluded.number
