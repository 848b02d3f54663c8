DELETE FROM {table} WHERE ({key}) = ({parameters})
