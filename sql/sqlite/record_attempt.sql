INSERT INTO attempts (delivery, place, round, provider, outcome, code, reason, at, duration_ms, address)
VALUES (
    ?1, (SELECT coalesce(max(place), -1) + 1 FROM attempts WHERE delivery = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
)
