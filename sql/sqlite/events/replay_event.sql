-- Increments `claims`: the result of a delivery attempt that is in progress is then not recorded.
UPDATE events SET state = 'waiting', due_or_ended_at = ?3, tries = 0, claims = claims + 1
WHERE delivery = ?1 AND sequence = ?2
