INSERT INTO broadcast_users (broadcast, user_number) VALUES (?1, ?2)
