-- Attempts are numbered in the order in which they were recorded, so uncounted ones come last.
SELECT sequence, provider, outcome, duration_ms FROM attempts WHERE delivery = ?1
