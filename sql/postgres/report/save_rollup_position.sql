-- Saves the rollup position: the greatest delivery id that the rollups have counted.
UPDATE meta SET number = $1 WHERE name = 'rollup_position'
