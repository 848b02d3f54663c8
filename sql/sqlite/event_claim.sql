UPDATE events SET moment = ?3, claims = claims + 1 WHERE delivery = ?1 AND sequence = ?2
