-- Touches a row only while the claim is the latest one.
UPDATE events AS e SET state = r.state, moment = r.moment, tries = r.tries, answer = r.answer
FROM unnest(
    $1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::TEXT[]
) AS r (delivery, sequence, claims, state, moment, tries, answer)
WHERE e.delivery = r.delivery AND e.sequence = r.sequence AND e.claims = r.claims AND e.state = 'waiting'
