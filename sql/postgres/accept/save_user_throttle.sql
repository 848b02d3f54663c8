-- Updates user throttles, which are locked by lock_user_throttles.sql.
UPDATE user_throttles AS t SET times = taken.times, expires_hour = taken.expires_hour
FROM unnest($1::BYTEA[], $2::BYTEA[], $3::BIGINT[]) AS taken (subject, times, expires_hour)
WHERE t.subject = taken.subject
