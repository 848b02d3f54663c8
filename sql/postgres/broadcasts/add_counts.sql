UPDATE broadcasts SET messages = messages + $2, refused = refused + $3 WHERE number = $1
