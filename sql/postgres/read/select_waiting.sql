-- Selects waiting deliveries that an operator may change, by time and by the provider of the last attempt. Sorts by an
-- expression, so that the planner does not scan all ended deliveries in the order of the ids. The cost depends on the
-- number of waiting deliveries, not on the number of all deliveries.
SELECT d.id FROM deliveries AS d
WHERE d.state = 'waiting'
    AND d.id >= $1 << 6
    -- All, those that wait for another try, or those that wait for the time that the client asked for.
    AND (
        $6 = 'waiting'
        OR d.due_at > $5 AND CASE WHEN d.round = 0 THEN 'scheduled' ELSE 'retrying' END = $6
    )
    AND ($2 IS NULL OR (SELECT m.created_at FROM messages AS m WHERE m.number = d.id >> 6) >= $2)
    AND ($3 IS NULL OR $3 = (
        SELECT a.provider FROM attempts AS a WHERE a.delivery = d.id ORDER BY a.sequence DESC LIMIT 1
    ))
ORDER BY d.id + 0
LIMIT $4
