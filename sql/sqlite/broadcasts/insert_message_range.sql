INSERT INTO broadcast_messages (first_number, last_number, broadcast) VALUES (?1, ?2, ?3)
