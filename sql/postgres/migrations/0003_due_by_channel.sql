-- What is due is asked for channel by channel, so that a channel that is left alone is not walked past.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (channel, priority, due_at) WHERE state = 'waiting';
