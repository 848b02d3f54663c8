-- Keeps the time of the first confirmation.
UPDATE inbound_messages SET handed_over_at = $1 WHERE id = $2 AND target IS NOT NULL AND handed_over_at IS NULL
