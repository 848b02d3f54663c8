-- What is on disk of rounds already: their end, their attempts. A statement of its own after record_superseded, which
-- has waited for whoever was recording the same.
SELECT
    d.id, d.recorded = r.round,
    coalesce((
        SELECT TRUE FROM attempts AS a
        WHERE a.delivery = d.id AND a.round = r.round
        LIMIT 1
    ), FALSE)
FROM unnest($1::BIGINT[], $2::BIGINT[]) AS r (id, round)
JOIN deliveries AS d ON d.id = r.id
WHERE d.id = ANY ($1)
