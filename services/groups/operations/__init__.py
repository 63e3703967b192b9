"""What the groups service does: one function for each write or composed read. Nothing is called inside a unit."""
