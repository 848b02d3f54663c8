-- Reads the user throttles with these subjects, which are locked by lock_user_throttles.sql.
SELECT subject, times FROM user_throttles WHERE subject = ANY ($1)
