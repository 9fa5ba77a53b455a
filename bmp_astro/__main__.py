"""``python -m bmp_astro`` is the ``bmp-astro`` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
