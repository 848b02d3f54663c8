-- Counts that the sessions of an API key were ended. A cookie contains the count at its sign-in, so earlier cookies
-- become invalid.
INSERT INTO meta (name, number) VALUES ('sessions/' || $1::text, 1)
ON CONFLICT (name) DO UPDATE SET number = meta.number + 1
