INSERT INTO providers (name, host, port) VALUES (?1, ?2, ?3)
ON CONFLICT (name) DO UPDATE SET host = excluded.host, port = excluded.port
