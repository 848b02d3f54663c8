-- Counts that the sessions of an API key were ended. Cookies contain the count, so earlier ones stop being valid.
INSERT INTO meta (name, value) VALUES ('sessions/' || $1, 1) ON CONFLICT (name) DO UPDATE SET value = meta.value + 1
