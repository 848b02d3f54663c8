-- Changes the row only if the claim is still the latest one.
UPDATE events SET state = ?4, due_or_ended_at = ?5, tries = ?6, last_result = ?7
WHERE delivery = ?1 AND sequence = ?2 AND claims = ?3 AND state = 'waiting'
