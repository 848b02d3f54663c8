-- Returns the current time in milliseconds since 1970. now() would be the start of the transaction.
SELECT floor(extract(EPOCH FROM clock_timestamp()) * 1000)::BIGINT AS now_ms
