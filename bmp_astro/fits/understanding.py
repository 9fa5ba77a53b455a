"""What is understood of a file, fact by fact."""

from os import PathLike, fspath
from typing import Any, NamedTuple

import astropy.units as u
from astropy.table import Table

from .amplifiers import amplifiers_of
from .cameras import find_instrument
from .common import FACTS
from .instrument import Instrument
from .layout import HduSpec
from .plausibility import implausible
from .reader import read_header
from .readouts import Readout
from .section import format_section
from .toml_text import starting_toml


class Understanding(NamedTuple):
    """What is understood of a file; made by `understand`.

    Attributes
    ----------
    instrument : Instrument
        Which read it.
    facts : `~astropy.table.Table`
        ``fact``, ``value``, ``unit``, ``source``: a row for each, the frame's type first.
    notes : list of str
        What in the header was not believed, or cannot be right.
    toml : str
        The instrument as this file shows it: a TOML file to start from.
    """

    instrument: Instrument
    facts: Table
    notes: list[str]
    toml: str


def understand(
    path: str | PathLike,
    *,
    hdu: HduSpec = None,
    instrument: Instrument | str | PathLike | None = None,
) -> Understanding:
    """Tell what is understood of a file, and where each fact comes from.

    Parameters
    ----------
    path : path-like
        A FITS file.
    hdu : int, str or (str, int), optional
        Number, name, or name and version of the image's unit; None: the first 2-D image.
    instrument : Instrument, str or path-like, optional
        An instrument, the name of a built-in one, or a TOML file; None: chosen by the header.

    Returns
    -------
    Understanding
        The instrument, a table of the facts, notes, and a TOML file to start from.

    Raises
    ------
    OSError
        If the file cannot be read, is not FITS, or lacks pixels.
    ValueError
        If it has no such image, or there is no such instrument.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bmp_astro.fits import understand
    >>> from bmp_astro.simulate import simulate_night
    >>> with TemporaryDirectory() as folder:
    ...     night = simulate_night(folder, shape=(32, 48), bad_files=False)
    ...     found = understand(night.paths("light")[0])
    >>> found.instrument.name
    'generic'
    >>> found.facts[found.facts["fact"] == "exptime"].pprint_all()
      fact  value unit    source
    ------- ----- ---- ------------
    exptime   120    s EXPTIME card
    """
    found = read_header(path, hdu=hdu, instrument=instrument)
    header = found.header
    camera = find_instrument(instrument, header)
    kind = camera.frame_type_fact(header, path)
    ny, nx = found.shape
    rows = [
        ("frame type", kind.value if kind.value else "unknown", "", kind.source),
        ("shape (ny, nx)", f"{ny} x {nx}", "pixel", "NAXIS2+NAXIS1 cards"),
    ]
    for name in (*FACTS, *camera.keys):
        value, source = camera.fact(name, header)
        rows.append((name, *_shown(value), source))
    notes = implausible(camera, header, path)
    try:
        readouts = amplifiers_of(header, camera)
    except ValueError as error:
        readouts = ()
        notes.append(str(error))
    rows += [
        (f"amplifier {number}", _shown_readout(readout), "", "")
        for number, readout in enumerate(readouts, start=1)
    ]
    name = fspath(path)
    return Understanding(
        camera,
        Table(rows=rows, names=("fact", "value", "unit", "source"), dtype=(str,) * 4),
        notes,
        starting_toml(camera, header, header.get("FILENAME", name)),
    )


def _shown_readout(readout: Readout) -> str:
    """Return in words where an amplifier is, and what is known of it."""
    words = [format_section(readout.target)]
    if readout.raw is not None:
        words = [f"{format_section(readout.raw)} to {words[0]}"]
    words += [f"overscan {format_section(section)}" for section in readout.overscan]
    for name in ("gain", "read_noise", "saturation"):
        value = getattr(readout, name)
        if value is not None:
            unit = "electron/adu" if name == "gain" else FACTS[name]
            words.append(f"{name.replace('_', ' ')} {value:.6g} {unit}")
    return ", ".join(words)


def _shown(value: Any) -> tuple[str, str]:
    """Return a value and its unit as text."""
    if value is None:
        return "", ""
    if isinstance(value, u.Quantity):
        return f"{value.value:.8g}", str(value.unit)
    return (f"{value:.8g}" if isinstance(value, float) else str(value)), ""
