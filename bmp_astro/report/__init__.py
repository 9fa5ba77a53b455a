"""A reduced night as plots and one HTML page.

It needs matplotlib, which ``pip install bmp_astro[report]`` brings; it is imported when called.
"""

from .page import write_report
from .picture import before_after

__all__ = ["before_after", "write_report"]
