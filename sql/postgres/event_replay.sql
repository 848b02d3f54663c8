-- One that a sender has in hand loses its claim.
UPDATE events AS e SET state = 'waiting', moment = $3, tries = 0, claims = e.claims + 1
FROM unnest($1::BIGINT[], $2::BIGINT[]) AS asked (delivery, sequence)
WHERE e.delivery = asked.delivery AND e.sequence = asked.sequence
