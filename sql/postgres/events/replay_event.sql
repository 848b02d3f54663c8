-- Makes events waiting again. Increments `claims`: the result of a delivery attempt that is in progress is then not
-- recorded.
UPDATE events AS e SET state = 'waiting', due_or_ended_at = $3, tries = 0, claims = e.claims + 1
FROM unnest($1::BIGINT[], $2::BIGINT[]) AS asked (delivery, sequence)
WHERE e.delivery = asked.delivery AND e.sequence = asked.sequence
