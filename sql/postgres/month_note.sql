UPDATE months SET month = $2 WHERE place = $1
