SELECT times FROM user_throttles WHERE subject = ?1
