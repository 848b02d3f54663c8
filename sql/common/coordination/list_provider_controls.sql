SELECT provider, action, requested_by, requested_at FROM provider_controls
