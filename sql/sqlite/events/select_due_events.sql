-- A callback in the form of another gateway ('~') waits until the earlier events of its delivery have ended, so that the
-- client sees them in order.
SELECT
    e.delivery, e.sequence, e.message, e.event_target, e.channel, e.spelling, e.event_type, e.failure, e.reason,
    e.provider, e.at, e.state, e.due_or_ended_at, e.tries, e.last_result, e.claims + 1 AS claims
FROM events AS e INDEXED BY events_due
WHERE e.state = 'waiting' AND e.endpoint = ?1 AND e.due_or_ended_at <= ?2
    AND (
        substr(e.event_target, 1, 1) <> '~'
        OR NOT EXISTS (
            SELECT 1 FROM events AS earlier
            WHERE earlier.delivery = e.delivery AND earlier.sequence < e.sequence AND earlier.state = 'waiting'
        )
    )
ORDER BY e.due_or_ended_at
LIMIT ?3
