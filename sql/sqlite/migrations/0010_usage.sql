-- What was sent to a person whom the client named. Most messages name nobody and stay out of it.
CREATE INDEX messages_user ON messages (user) WHERE user IS NOT NULL;
