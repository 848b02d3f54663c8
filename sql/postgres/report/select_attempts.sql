-- Attempts are numbered in the order in which they were recorded, so uncounted ones come last.
SELECT delivery, sequence, provider, outcome, duration_ms FROM attempts WHERE delivery = ANY ($1)
