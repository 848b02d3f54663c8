UPDATE inbound_messages SET has_changed_status = 1 WHERE id = $1
