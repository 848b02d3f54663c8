DELETE FROM tallies WHERE origin = 'live'
