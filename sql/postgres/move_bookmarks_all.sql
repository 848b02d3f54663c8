SELECT place, key FROM move_bookmarks
