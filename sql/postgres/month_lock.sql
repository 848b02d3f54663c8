-- One host at a time makes, begins and retires months; whoever only looks does not wait.
LOCK TABLE months IN SHARE ROW EXCLUSIVE MODE
