-- Attempts are numbered as they were recorded, so what was not counted comes last.
SELECT delivery, place, provider, outcome, duration_ms FROM attempts WHERE delivery = ANY ($1)
