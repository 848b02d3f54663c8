-- Returns the stored message that a provider has repeated.
SELECT id, has_changed_status FROM inbound_messages WHERE provider = $1 AND reference = $2
