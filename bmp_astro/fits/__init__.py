"""FITS frames in and out, and what the cards of a camera mean."""
