-- One that a sender has in hand loses its claim.
UPDATE events SET state = 'waiting', moment = ?3, tries = 0, claims = claims + 1 WHERE delivery = ?1 AND sequence = ?2
