DELETE FROM rollups WHERE origin = 'live'
