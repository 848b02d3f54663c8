-- Counts that the sessions of an API key were ended. Cookies contain the count, so earlier ones stop being valid.
INSERT INTO meta (name, number) VALUES ('sessions/' || $1::text, 1)
ON CONFLICT (name) DO UPDATE SET number = meta.number + 1
