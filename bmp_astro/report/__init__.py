"""A reduced night as plots and one HTML page."""
