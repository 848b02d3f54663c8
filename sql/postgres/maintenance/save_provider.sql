-- Saves the host and port of each provider, for the view `notifications`.
INSERT INTO providers (name, host, port)
SELECT * FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[])
ON CONFLICT (name) DO UPDATE SET host = excluded.host, port = excluded.port
