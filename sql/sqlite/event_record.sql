-- Touches a row only while the claim is the latest one.
UPDATE events SET state = ?4, moment = ?5, tries = ?6, answer = ?7
WHERE delivery = ?1 AND sequence = ?2 AND claims = ?3 AND state = 'waiting'
