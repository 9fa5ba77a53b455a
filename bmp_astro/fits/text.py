"""Several messages in one cell of a table."""


def joined(*messages: str) -> str:
    """Return messages one after the other, without those that are empty.

    Examples
    --------
    >>> from bmp_astro.fits.text import joined
    >>> joined("", "made of 2 frames only", "the level drifts")
    'made of 2 frames only; the level drifts'
    """
    return "; ".join(message for message in messages if message)
