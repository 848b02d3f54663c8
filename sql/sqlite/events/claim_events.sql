UPDATE events SET due_or_ended_at = ?3, claims = claims + 1 WHERE delivery = ?1 AND sequence = ?2
