-- Reads how often the sessions of an API key were ended; no row means never.
SELECT number FROM meta WHERE name = 'sessions/' || $1::text
