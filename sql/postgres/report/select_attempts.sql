-- Selects the attempts of deliveries. Attempts are numbered in the order in which they were recorded, so uncounted
-- attempts come last.
SELECT delivery, sequence, provider, outcome, duration_ms FROM attempts WHERE delivery = ANY ($1)
