-- What the server promises of a commit. A setting that it does not know is empty.
SELECT
    coalesce(current_setting('fsync', TRUE), ''),
    coalesce(current_setting('full_page_writes', TRUE), ''),
    coalesce(current_setting('synchronous_standby_names', TRUE), '')
