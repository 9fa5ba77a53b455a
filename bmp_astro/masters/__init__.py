"""Master bias, dark and flat frames."""
