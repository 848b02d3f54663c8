-- Lists the webhook endpoints with waiting events, each with the due time of its first event. One index lookup per
-- endpoint.
WITH RECURSIVE waiting_endpoints (endpoint, depth) AS (
    SELECT (SELECT endpoint FROM events WHERE state = 'waiting' AND endpoint > $1::TEXT ORDER BY endpoint LIMIT 1), 1
    UNION ALL
    SELECT (
        SELECT e.endpoint FROM events AS e
        WHERE e.state = 'waiting' AND e.endpoint > waiting_endpoints.endpoint
        ORDER BY e.endpoint
        LIMIT 1
    ), depth + 1
    FROM waiting_endpoints
    WHERE waiting_endpoints.endpoint IS NOT NULL AND depth < $2::BIGINT
)
SELECT endpoint, (
    SELECT e.due_or_ended_at FROM events AS e
    WHERE e.state = 'waiting' AND e.endpoint = waiting_endpoints.endpoint
    ORDER BY e.due_or_ended_at
    LIMIT 1
) AS due_at
FROM waiting_endpoints
WHERE endpoint IS NOT NULL
