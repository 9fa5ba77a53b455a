"""What became of the inputs of a master, and what was measured on them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from .quality import InputRow


@dataclass
class MasterReport:
    """How a master came about.

    Parameters
    ----------
    kind : str
        "bias", "dark" or "flat".
    rows : list of `InputRow`
        One for each input, in the order in which they were given.
    alarms : list of str
        What an observer should look at in the master itself; `rows` have those of single inputs.
    level : float or None
        Mean level of the frames that were used.
    level_unit : str
        Its unit, and that of the levels in `rows`: adu, electron for flats of known gain.
    level_scatter : float or None
        Standard deviation of those levels.
    level_drift : float or None
        Their change an hour.
    read_noise : float or None
        In electron, in adu where the gain is unknown.
    read_noise_source : str
        "given", "header", "measured" or "".
    rejected : float
        Fraction of the values that were rejected.
    bad_pixels : dict of str to int
        How many pixels are masked as "hot", "dead", "unstable".
    gain_measured, gain_uncertainty : float or None
        Of flats: what their noise tells, electron/adu.
    dark_current : float or None
        Of darks without bias, electron/s.
    """

    kind: str
    rows: list[InputRow]
    alarms: list[str] = field(default_factory=list)
    level: float | None = None
    level_unit: str = "adu"
    level_scatter: float | None = None
    level_drift: float | None = None
    read_noise: float | None = None
    read_noise_source: str = ""
    rejected: float = 0.0
    bad_pixels: dict[str, int] = field(default_factory=dict)
    gain_measured: float | None = None
    gain_uncertainty: float | None = None
    dark_current: float | None = None

    @property
    def used(self) -> list[str]:
        """The paths of the frames that were used."""
        return [row.path for row in self.rows if row.used]

    def add_bad_pixels(self, found: Mapping[str, int]) -> None:
        """Add the numbers of bad pixels that were found in a part of the master."""
        for name, count in found.items():
            self.bad_pixels[name] = self.bad_pixels.get(name, 0) + count

    def meta(self) -> dict[str, Any]:
        """Return the report as metadata of a pipeline: numbers and short texts.

        ``inputs`` is JSON text, a list of rows with the fields of `InputRow`.
        """
        return {
            "n_used": len(self.used),
            "level": self.level,
            "level_unit": self.level_unit,
            "level_scatter": self.level_scatter,
            "level_drift": self.level_drift,
            "read_noise": self.read_noise,
            "read_noise_source": self.read_noise_source,
            "rejected_fraction": self.rejected,
            **{f"n_{name}": count for name, count in self.bad_pixels.items()},
            "gain_measured": self.gain_measured,
            "gain_uncertainty": self.gain_uncertainty,
            "dark_current": self.dark_current,
            "alarms": "; ".join(self.alarms),
            "inputs": json.dumps([asdict(row) for row in self.rows]),
        }


def level_trend(
    levels: Sequence[float], dates: Sequence[str | None]
) -> tuple[float | None, float | None]:
    """Return the scatter of levels, and their drift an hour.

    Parameters
    ----------
    levels : sequence of float
        The level of each frame.
    dates : sequence of str or None
        When each was taken, ISO 8601.

    Returns
    -------
    scatter, drift : float or None
        None for the scatter of fewer than two frames, and for the drift where the times are not
        known or all the same.

    Examples
    --------
    >>> scatter, drift = level_trend(
    ...     [100.0, 102.0, 104.0],
    ...     ["2026-03-14T20:00:00", "2026-03-14T20:15:00", "2026-03-14T20:30:00"])
    >>> print(scatter, round(drift, 3))
    2.0 8.0
    """
    if len(levels) < 2:
        return None, None
    scatter = float(np.std(levels, ddof=1))
    hours = [_hours(date) for date in dates]
    if any(hour is None for hour in hours) or np.ptp(hours) == 0:
        return scatter, None
    time = np.array(hours) - np.mean(hours)
    return scatter, float(np.sum(time * np.array(levels)) / np.sum(time**2))


def mid_date(dates: Sequence[str | None]) -> str | None:
    """Return the middle between the first and the last date, None where one is not known."""
    hours = [_hours(date) for date in dates]
    if not hours or any(hour is None for hour in hours):
        return None
    middle = datetime.fromtimestamp(1800 * (min(hours) + max(hours)), tz=UTC)
    return middle.isoformat(timespec="milliseconds").removesuffix("+00:00")


def _hours(date: str | None) -> float | None:
    """Return a date in hours, None where it cannot be understood."""
    if date is None:
        return None
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return moment.timestamp() / 3600
