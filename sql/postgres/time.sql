-- Unlike now(), not the beginning of the transaction.
SELECT floor(extract(EPOCH FROM clock_timestamp()) * 1000)::BIGINT
