"""When frames were taken, how far apart, and how far apart they may be."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import astropy.units as u

Age = str | u.Quantity
MaxAge = Age | Mapping[str, Age] | None
# The longest time (s) between a frame and a master of each kind; what is not named has none.
Limits = Mapping[str, float]
NO_LIMITS: Limits = MappingProxyType({})


def when(facts: Mapping[str, Any]) -> float | None:
    """The time of ``date_obs`` in seconds (UTC), None when it is not stated or makes no sense."""
    try:
        stamp = datetime.fromisoformat(facts["date_obs"])
    except (KeyError, TypeError, ValueError):
        return None
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()


def span(seconds: float) -> str:
    """A length of time as an observer would say it.

    Examples
    --------
    >>> span(600), span(5.25 * 3600), span(3 * 86400)
    ('10 min', '5.2 h', '3.0 d')
    """
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"


def age_limits(max_age: MaxAge, kinds: tuple[str, ...]) -> Limits:
    """How old masters may be, by kind, in seconds.

    Parameters
    ----------
    max_age : `~astropy.units.Quantity`, str, mapping of str to these, or None
        One limit for all kinds, or one for each that has one; text such as ``"12 h"``, ``"30 d"``.
    kinds : tuple of str
        The kinds that there are.

    Returns
    -------
    mapping of str to float

    Raises
    ------
    ValueError
        If a limit is no time, or for no kind of master.

    Examples
    --------
    >>> age_limits({"flat": "30 d"}, ("bias", "dark", "flat"))
    {'flat': 2592000.0}
    """
    if max_age is None:
        return NO_LIMITS
    if not isinstance(max_age, Mapping):
        return dict.fromkeys(kinds, seconds_in("max_age", max_age))
    unknown = sorted(set(max_age) - set(kinds))
    if unknown:
        raise ValueError(f"max_age has {', '.join(unknown)}: expected some of {', '.join(kinds)}")
    return {kind: seconds_in("max_age", limit) for kind, limit in max_age.items()}


def seconds_in(name: str, limit: Age) -> float:
    """A limit in seconds; ``name`` is what a message calls it."""
    try:
        seconds = float(u.Quantity(limit).to_value(u.s))
    except (TypeError, ValueError, u.UnitsError):
        seconds = -1.0
    if not seconds >= 0:
        raise ValueError(f"{name} is {limit!r}: expected a time such as '12 h' or '30 d'")
    return seconds
