"""One night: what is there, what belongs together, and its reduction."""
