INSERT INTO opting_texts (provider, reference, channel, address, heard_at)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (provider, reference, channel, address) DO NOTHING
