"""``python -m bmp_astro`` is the ``bmp-astro`` command."""

import sys

from .cli import command

if __name__ == "__main__":
    sys.exit(command())
