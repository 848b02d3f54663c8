-- Lists the shared health of all providers.
SELECT provider, circuit, open_until, backoff_factor, reason, cooldown_until, since, version FROM provider_health
