-- Saves the shared health of a provider.
INSERT INTO provider_health (provider, circuit, open_until, backoff_factor, reason, cooldown_until, since, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (provider) DO UPDATE SET
    circuit = excluded.circuit, open_until = excluded.open_until, backoff_factor = excluded.backoff_factor,
    reason = excluded.reason,
    cooldown_until = excluded.cooldown_until, since = excluded.since, version = excluded.version
