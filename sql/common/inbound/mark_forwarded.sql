-- Keeps the time of the first confirmation.
UPDATE inbound_messages SET forwarded_at = $1 WHERE id = $2 AND target IS NOT NULL AND forwarded_at IS NULL
