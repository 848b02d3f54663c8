-- Selects waiting deliveries: all, those that wait for another try, or those that wait for the time that the client asked
-- for and were never tried.
SELECT d.id FROM deliveries AS d INDEXED BY deliveries_due
WHERE d.state = 'waiting' AND d.id >= ?1 << 6
    AND (
        ?6 = 'waiting'
        OR d.due_at > ?5 AND CASE WHEN d.round = 0 THEN 'scheduled' ELSE 'retrying' END = ?6
    )
    AND (?2 IS NULL OR (SELECT m.created_at FROM messages AS m WHERE m.number = d.id >> 6) >= ?2)
    AND (?3 IS NULL OR ?3 = (
        SELECT a.provider FROM attempts AS a WHERE a.delivery = d.id ORDER BY a.sequence DESC LIMIT 1
    ))
ORDER BY d.id
LIMIT ?4
