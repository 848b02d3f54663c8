-- REPLACE, because an outdated row with the same key may still lie here.
INSERT OR REPLACE INTO keys (key, request, number, message, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
