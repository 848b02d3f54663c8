INSERT INTO user_throttles (subject, times, expires_hour) VALUES (?1, ?2, ?3)
ON CONFLICT (subject) DO UPDATE SET times = excluded.times, expires_hour = excluded.expires_hour
