-- Lists the last command for each provider.
SELECT provider, action, requested_by, requested_at FROM provider_controls
