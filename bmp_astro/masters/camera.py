"""What was measured on a camera, and where its header says otherwise."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import QTable

_SIGNIFICANT = 3.0


@dataclass(frozen=True)
class Measured:
    """One fact of a camera.

    Parameters
    ----------
    value, uncertainty : `~astropy.units.Quantity`
        What was measured, and its standard error (of a saturation: half its range).
    source : str
        On what it was measured.
    header : `~astropy.units.Quantity` or None
        What the header says.
    """

    value: u.Quantity
    uncertainty: u.Quantity
    source: str
    header: u.Quantity | None = None

    def __str__(self) -> str:
        digits = max(0, 1 - int(np.floor(np.log10(self.uncertainty.value or 1.0))))
        numbers = f"{self.value.value:.{digits}f} +- {self.uncertainty.value:.{digits}f}"
        said = "" if self.header is None else f"; header: {self.header:g}"
        return f"{numbers} {self.value.unit} ({self.source}{said})"


@dataclass(frozen=True)
class CameraMeasures:
    """What `measure_camera` found; None where the frames do not tell.

    Parameters
    ----------
    gain : `Measured` or None
        electron/adu.
    read_noise : `Measured` or None
        adu.
    dark_current : `Measured` or None
        electron/s in a typical pixel; adu/s where the gain is neither measured nor in the header.
    saturation : `Measured` or None
        The level at which pixels stop, raw adu; None where the frames do not reach it, and where it
        is the end of the numbers.
    alarms : tuple of str
        What differs from the header.
    """

    gain: Measured | None = None
    read_noise: Measured | None = None
    dark_current: Measured | None = None
    saturation: Measured | None = None
    alarms: tuple[str, ...] = ()

    def table(self) -> QTable:
        """Return one row for each fact that was measured; numbers are in the unit beside them."""
        names = ("gain", "read_noise", "dark_current", "saturation")
        known = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        facts = list(known.values())
        said = [np.nan if fact.header is None else fact.header.value for fact in facts]
        return QTable(
            {
                "fact": list(known),
                "value": [fact.value.value for fact in facts],
                "uncertainty": [fact.uncertainty.value for fact in facts],
                "unit": [str(fact.value.unit) for fact in facts],
                "header": said,
                "source": [fact.source for fact in facts],
            }
        )


def difference_alarm(
    what: str,
    measured: float,
    uncertainty: float,
    said: float | None,
    limit: float,
    unit: str,
) -> list[str]:
    """Return an alarm where a number is off by more than a fraction and than its error, else none.

    Examples
    --------
    >>> from bmp_astro.masters.camera import difference_alarm
    >>> difference_alarm("gain", 2.72, 0.01, 2.2, 0.1, "electron/adu")
    ['the gain is 2.72 electron/adu as measured, but 2.2 was used: 24 % off (limit 10 %)']
    """
    if said is None:
        return []
    off = abs(measured - said)
    if off <= limit * said or off <= _SIGNIFICANT * uncertainty:
        return []
    return [
        f"the {what} is {measured:.3g} {unit} as measured, but {said:.3g} was used: "
        f"{100 * off / said:.0f} % off (limit {100 * limit:g} %)"
    ]
