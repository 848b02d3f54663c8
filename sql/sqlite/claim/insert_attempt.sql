INSERT INTO attempts (delivery, sequence, round, provider, outcome, code, reason, at, duration_ms, address, reference)
VALUES (
    ?1, (SELECT coalesce(max(sequence), -1) + 1 FROM attempts WHERE delivery = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
    ?10
)
