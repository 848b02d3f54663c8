SELECT coalesce(max(number), 0)::BIGINT FROM migrations
