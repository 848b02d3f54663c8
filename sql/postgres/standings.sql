SELECT provider, standing, till, times, reason, paused_until, since, version FROM standings
