-- Saves the last command for a provider.
INSERT INTO provider_controls (provider, action, requested_by, requested_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (provider) DO UPDATE SET
    action = excluded.action, requested_by = excluded.requested_by, requested_at = excluded.requested_at
