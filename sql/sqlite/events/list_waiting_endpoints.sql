-- One index lookup per webhook endpoint.
WITH RECURSIVE found (endpoint, position) AS (
    SELECT (
        SELECT endpoint FROM events INDEXED BY events_due
        WHERE state = 'waiting' AND endpoint > ?1
        ORDER BY endpoint
        LIMIT 1
    ), 1
    UNION ALL
    SELECT (
        SELECT e.endpoint FROM events AS e INDEXED BY events_due
        WHERE e.state = 'waiting' AND e.endpoint > found.endpoint
        ORDER BY e.endpoint
        LIMIT 1
    ), position + 1
    FROM found
    WHERE found.endpoint IS NOT NULL AND position < ?2
)
SELECT endpoint, (
    SELECT e.due_or_ended_at FROM events AS e INDEXED BY events_due
    WHERE e.state = 'waiting' AND e.endpoint = found.endpoint
    ORDER BY e.due_or_ended_at
    LIMIT 1
) AS due_at
FROM found
WHERE endpoint IS NOT NULL
