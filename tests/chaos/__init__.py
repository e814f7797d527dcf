"""Real server, real learning process, eight people, and kill -9: what was acknowledged is there, once."""
