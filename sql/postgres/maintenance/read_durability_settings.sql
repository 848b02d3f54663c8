-- Reads the settings that decide whether a commit survives a crash. A setting that the server does not know is returned
-- as an empty string.
SELECT
    coalesce(current_setting('fsync', TRUE), '') AS fsync,
    coalesce(current_setting('full_page_writes', TRUE), '') AS full_page_writes,
    coalesce(current_setting('synchronous_standby_names', TRUE), '') AS synchronous_standby_names
