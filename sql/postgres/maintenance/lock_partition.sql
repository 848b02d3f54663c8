-- Locks the tables of a partition against every other transaction. Runs while the exclusive lock on message numbers is
-- held. {partition} is a number.
LOCK TABLE
    ONLY messages, ONLY deliveries, ONLY attempts,
    messages_{partition}, deliveries_{partition}, attempts_{partition}
IN ACCESS EXCLUSIVE MODE
