DELETE FROM broadcasts WHERE number = ?1
