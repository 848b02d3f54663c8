-- Reads the shared health of a provider.
SELECT provider, circuit, open_until, backoff_factor, reason, cooldown_until, since, version
FROM provider_health
WHERE provider = $1
