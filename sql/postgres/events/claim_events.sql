-- Claims due events: up to `capacity` per webhook endpoint. Skips events that another process is claiming. LATERAL
-- makes the index serve each endpoint separately. A callback in the form of another gateway ('~') waits until the earlier
-- events of its delivery have ended, so that the client sees them in order.
WITH claimed AS MATERIALIZED (
    SELECT due.delivery, due.sequence
    FROM unnest($1::TEXT[], $2::BIGINT[]) AS requested (endpoint, capacity)
    CROSS JOIN LATERAL (
        SELECT e.delivery, e.sequence FROM events AS e
        WHERE e.state = 'waiting' AND e.endpoint = requested.endpoint AND e.due_or_ended_at <= $3
            AND (
                left(e.event_target, 1) <> '~'
                OR NOT EXISTS (
                    SELECT 1 FROM events AS earlier
                    WHERE earlier.delivery = e.delivery AND earlier.sequence < e.sequence AND earlier.state = 'waiting'
                )
            )
        ORDER BY e.due_or_ended_at
        LIMIT requested.capacity
        FOR UPDATE SKIP LOCKED
    ) AS due
)
UPDATE events AS e SET due_or_ended_at = $4, claims = e.claims + 1
FROM claimed
WHERE e.delivery = claimed.delivery AND e.sequence = claimed.sequence
RETURNING
    e.delivery, e.sequence, e.message, e.event_target, e.channel, e.spelling, e.event_type, e.failure, e.reason,
    e.provider, e.at, e.state, e.due_or_ended_at, e.tries, e.last_result, e.claims
