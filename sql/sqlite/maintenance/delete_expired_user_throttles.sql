DELETE FROM user_throttles WHERE subject IN (
    SELECT subject FROM user_throttles WHERE expires_hour <= ?1 ORDER BY expires_hour LIMIT ?2
)
