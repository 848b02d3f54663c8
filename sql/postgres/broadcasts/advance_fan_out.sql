-- Advances the fan-out position of a broadcast. Changes nothing if another process has already stored the messages of
-- this step.
UPDATE broadcasts SET fan_out_position = $3, unreachable = unreachable + $4, is_fanned_out = $5
WHERE number = $1 AND fan_out_position = $2 AND is_fanned_out = 0
