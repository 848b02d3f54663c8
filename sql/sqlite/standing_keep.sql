INSERT INTO standings (provider, standing, till, times, reason, paused_until, since, version)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (provider) DO UPDATE SET
    standing = excluded.standing, till = excluded.till, times = excluded.times, reason = excluded.reason,
    paused_until = excluded.paused_until, since = excluded.since, version = excluded.version
