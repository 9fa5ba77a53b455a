"""One night: what is there, what belongs together, and its reduction."""

from .inventory import inventory
from .plan import plan_night
from .provenance import Provenance, provenance
from .reduction import reduce_night
from .rows import attention, exit_status, summary

__all__ = [
    "Provenance",
    "attention",
    "exit_status",
    "inventory",
    "plan_night",
    "provenance",
    "reduce_night",
    "summary",
]
