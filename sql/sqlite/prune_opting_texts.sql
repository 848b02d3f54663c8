DELETE FROM opting_texts WHERE (provider, reference, channel, address) IN (
    SELECT provider, reference, channel, address FROM opting_texts WHERE heard_at < ?1 ORDER BY heard_at LIMIT ?2
)
