SELECT holder, began_at, ends_at, done FROM turns WHERE task = $1
