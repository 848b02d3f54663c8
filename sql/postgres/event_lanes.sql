-- One step in the index for each receiver.
WITH RECURSIVE found (lane, place) AS (
    SELECT (SELECT lane FROM events WHERE state = 'waiting' AND lane > $1::TEXT ORDER BY lane LIMIT 1), 1
    UNION ALL
    SELECT (
        SELECT e.lane FROM events AS e WHERE e.state = 'waiting' AND e.lane > found.lane ORDER BY e.lane LIMIT 1
    ), place + 1
    FROM found
    WHERE found.lane IS NOT NULL AND place < $2::BIGINT
)
SELECT lane, (
    SELECT e.moment FROM events AS e WHERE e.state = 'waiting' AND e.lane = found.lane ORDER BY e.moment LIMIT 1
)
FROM found
WHERE lane IS NOT NULL
