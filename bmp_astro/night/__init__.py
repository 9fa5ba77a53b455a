"""One night: what is there, what belongs together, and its reduction."""

from .inventory import inventory
from .plan import plan_night
from .reduction import reduce_night
from .rows import attention, exit_status, summary

__all__ = ["attention", "exit_status", "inventory", "plan_night", "reduce_night", "summary"]
