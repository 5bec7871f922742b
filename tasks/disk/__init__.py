"""Files on a disk: whole, told apart by content, flushed in order, locked. What the other rooms keep rests on it."""
