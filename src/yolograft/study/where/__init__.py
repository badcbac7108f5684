"""Where a difference lies: classes, sizes, crowding, kinds of error, images."""
