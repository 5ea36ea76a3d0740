"""What rules do to the world: writes, commands, messages, in order and within bounds."""
