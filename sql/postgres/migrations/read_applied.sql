SELECT coalesce(max(number), 0)::BIGINT AS number FROM migrations
