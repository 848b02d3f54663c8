-- What another host is just claiming is passed over. Row by row, so that the index serves each lane.
WITH won AS MATERIALIZED (
    SELECT due.delivery, due.sequence
    FROM unnest($1::TEXT[], $2::BIGINT[]) AS asked (lane, room)
    CROSS JOIN LATERAL (
        SELECT e.delivery, e.sequence FROM events AS e
        WHERE e.state = 'waiting' AND e.lane = asked.lane AND e.moment <= $3
        ORDER BY e.moment
        LIMIT asked.room
        FOR UPDATE SKIP LOCKED
    ) AS due
)
UPDATE events AS e SET moment = $4, claims = e.claims + 1
FROM won
WHERE e.delivery = won.delivery AND e.sequence = won.sequence
RETURNING
    e.delivery, e.sequence, e.message, e.watch, e.channel, e.spelling, e.what, e.failure, e.reason, e.provider, e.at,
    e.state, e.moment, e.tries, e.answer, e.claims
