-- Deletes the live rollups, for a rebuild.
DELETE FROM rollups WHERE origin = 'live'
