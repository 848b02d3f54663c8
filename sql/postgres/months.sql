SELECT place, month, retired FROM months ORDER BY place
