-- Records the results of delivery attempts of events. Changes an event only if the claim is still the latest one.
UPDATE events AS e SET state = r.state, due_or_ended_at = r.due_or_ended_at, tries = r.tries,
    last_result = r.last_result
FROM unnest(
    $1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::TEXT[]
) AS r (delivery, sequence, claims, state, due_or_ended_at, tries, last_result)
WHERE e.delivery = r.delivery AND e.sequence = r.sequence AND e.claims = r.claims AND e.state = 'waiting'
