"""Which unit of a file is the image, which are its uncertainty and mask, and its whole header."""

import logging
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import NamedTuple

from astropy.io import fits

from .cameras import find_instrument
from .cards import set_card
from .instrument import Instrument
from .source import BLOCK, Hdu, Source, next_offset, read_hdu
from .stack import find_stack, stacked_header
from .tiles import image_header

logger = logging.getLogger(__name__)

HduSpec = int | str | tuple[str, int] | None

# What a primary header without pixels says of itself, not of its extensions.
_OWN = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|NEXTEND|EXTNAME|EXTVER|EXTLEVEL|"
    r"BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|DATAMIN|DATAMAX|INHERIT|END"
)
# What describes the assembled frame when there are several extensions.
_GEOMETRY = re.compile(
    r"WCSAXES|C(?:TYPE|RVAL|RPIX|UNIT|DELT|ROTA)\d.?|(?:CD|PC)\d_\d.?|(?:BIAS|TRIM|DATA|CCD|DET|AMP)SEC"
)


class Layout(NamedTuple):
    """The units of a file that make one frame.

    ``units`` are several where each amplifier has its own; the ``image`` is then the first.
    """

    image: Hdu
    header: fits.Header
    uncertainty: Hdu | None
    mask: Hdu | None
    units: tuple[Hdu, ...]
    crc: int

    @property
    def shape(self) -> tuple[int, int]:
        """``(ny, nx)`` of the units, one upon the other."""
        return sum(unit.axes[1] for unit in self.units), self.image.axes[0]


def find_layout(
    source: Source,
    path: str | PathLike,
    hdu: HduSpec,
    *,
    instrument: Instrument | str | PathLike | None = None,
    missing_ok: bool = False,
) -> Layout:
    """Find the image in a file.

    Parameters
    ----------
    source : Source
        The bytes.
    path : path-like
        The file, for messages and for FILENAME.
    hdu : int, str, (str, int) or None
        Number, name, or name and version; None takes the first 2-D image, or all that are the
        amplifiers of one frame.
    instrument : Instrument, str or path-like, optional
        Knows the amplifiers; None: chosen by the header.
    missing_ok : bool
        Pixels that are missing from the end of the file do not matter.

    Returns
    -------
    Layout
        The image's unit, its header with the primary's cards, the planes beside it, and a CRC-32
        of the cards of both units.

    Raises
    ------
    OSError
        If the file is not FITS, or pixels are missing from its end.
    ValueError
        If there is no such unit, or it is not a 2-D image.
    """
    hdus = list(scan(source, path))
    image = _choose(hdus, hdu, path)
    units, header = _amplifiers(hdus, hdu, image, instrument, path)
    for unit in [] if missing_ok else units:
        check_complete(source, path, unit)
    name = os.path.basename(os.fspath(path))
    if header.get("FILENAME") != name:
        set_card(header, "FILENAME", name, "name of this file")
    planes = {}
    if image is next((item for item in hdus if item.is_image), None):
        for item in hdus[image.index + 1 :]:
            if item.is_image and item.axes == image.axes and item.name in ("UNCERT", "MASK"):
                planes.setdefault(item.name, item)
    for plane in [] if missing_ok else planes.values():
        check_complete(source, path, plane)
    crc = cards_crc(hdus[0], units)
    return Layout(units[0], header, planes.get("UNCERT"), planes.get("MASK"), units, crc)


def cards_crc(primary: Hdu, units: Iterable[Hdu]) -> int:
    """Return a CRC-32 of the cards of the primary unit and of those of the image."""
    crc = primary.crc
    for unit in units:
        crc = crc if unit.index == 0 else zlib.crc32(b"%d" % unit.crc, crc)
    return crc


def _amplifiers(
    hdus: list[Hdu],
    spec: HduSpec,
    image: Hdu,
    instrument: Instrument | str | PathLike | None,
    path: str | PathLike,
) -> tuple[tuple[Hdu, ...], fits.Header]:
    """Return the image, or the units of all amplifiers where it is one of several; the header."""
    header = _whole_header(hdus, image)
    images = [hdu for hdu in hdus if _is_frame(hdu)]
    if spec is not None or len(images) < 2:
        return (image,), header
    try:
        camera = find_instrument(instrument, header)
        headers = [_whole_header(hdus, each) for each in images]
        found = find_stack(images, headers, camera)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if found is None:
        return (image,), header
    first = next(h for h, each in zip(headers, images, strict=True) if each is found.units[0])
    return found.units, stacked_header(first, hdus[0].header, found, camera)


def _is_frame(hdu: Hdu) -> bool:
    """Tell whether a unit is a 2-D image, and no plane beside one."""
    return hdu.is_image and len(hdu.axes) == 2 and hdu.name not in ("UNCERT", "MASK")


def scan(source: Source, path: str | PathLike) -> Iterator[Hdu]:
    """Yield the units of a file; a damaged one ends it, unless it is the first."""
    index, offset = 0, 0
    while True:
        try:
            hdu = read_hdu(source, path, index, offset)
        except OSError as error:
            if index == 0:
                raise
            logger.warning("%s: what follows unit %d is ignored: %s", path, index - 1, error)
            return
        if hdu is None:
            return
        yield hdu
        index, offset = index + 1, next_offset(hdu)


def _choose(hdus: list[Hdu], spec: HduSpec, path: str | PathLike) -> Hdu:
    """Return the unit that was asked for, or the first 2-D image."""
    if spec is None:
        found = next((hdu for hdu in hdus if hdu.is_image and len(hdu.axes) == 2), None)
        if found is None:
            raise ValueError(f"{path} has no 2-D image: it has {_contents(hdus)}")
        return found
    found = next((hdu for hdu in hdus if _is_meant(hdu, spec, len(hdus))), None)
    if found is None:
        raise ValueError(f"{path} has no unit {spec!r}: it has {_contents(hdus)}")
    if not found.is_image or len(found.axes) != 2:
        raise ValueError(
            f"unit {spec!r} of {path} is {_describe(found)}, not a 2-D image: "
            f"the file has {_contents(hdus)}"
        )
    return found


def _is_meant(hdu: Hdu, spec: HduSpec, count: int) -> bool:
    """Tell whether a unit is the one asked for."""
    if isinstance(spec, int):
        return hdu.index == (spec + count if spec < 0 else spec)
    name, version = spec if isinstance(spec, tuple) else (spec, None)
    return hdu.name == name.strip().upper() and version in (None, hdu.header.get("EXTVER", 1))


def _contents(hdus: list[Hdu]) -> str:
    """Return what is in a file, for a message."""
    return "; ".join(f"unit {hdu.index} {hdu.name} {_describe(hdu)}".strip() for hdu in hdus)


def _describe(hdu: Hdu) -> str:
    """Return what a unit is, for a message."""
    if not hdu.is_image:
        kind = str(hdu.header.get("XTENSION", "")).strip()
        return f"a {kind.lower()}" if kind not in ("", "IMAGE") else "empty"
    shape = tuple(reversed(hdu.axes))
    return f"{len(shape)}-D {shape}"


def check_complete(source: Source, path: str | PathLike, hdu: Hdu) -> None:
    """Complain about missing pixels; missing padding is only worth a note."""
    end = hdu.offset + hdu.nbytes
    padded = hdu.offset + -(-hdu.nbytes // BLOCK) * BLOCK
    size = source.size_known_to(padded)
    if size < end:
        raise OSError(
            f"{path} is truncated: {end - size} bytes of pixels are missing from unit {hdu.index} "
            f"({hdu.nbytes} expected, {max(0, size - hdu.offset)} there)"
        )
    if size < padded:
        logger.warning("%s: the last block lacks %d bytes of padding", path, padded - size)


def _whole_header(hdus: list[Hdu], image: Hdu) -> fits.Header:
    """Return the image's cards, and after them those of a primary header without pixels."""
    header = image_header(image) if image.compressed else image.header.copy()
    primary = hdus[0]
    if image is primary or primary.is_image or header.get("INHERIT") is False:
        return header
    alone = sum(hdu.is_image for hdu in hdus if hdu.name not in ("UNCERT", "MASK")) == 1
    own = set(header)
    for card in primary.header.cards:
        keyword = card.keyword
        if keyword in own and keyword not in ("COMMENT", "HISTORY"):
            continue
        if _OWN.fullmatch(keyword) or (not alone and _GEOMETRY.fullmatch(keyword)):
            continue
        header.append(card, end=True)
    return header
