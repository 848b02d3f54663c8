SELECT subject, times FROM user_throttles WHERE subject = ANY ($1)
