"""FITS files in and out: sections, mask bits, keywords, instruments, frames."""

from .amplifiers import Amplifier, Corners, amplifiers_of
from .bands import OpenFrame, open_frame
from .cameras import GENERIC, MAXIM, find_instrument
from .cards import as_header, set_card
from .checksum import data_sum
from .facts import Fact
from .flags import MaskBit, flags_of, with_flags
from .header import (
    add_calstat,
    add_history,
    calibrated_already,
    clean_product_header,
    follow_limits,
    mark_electron,
    set_frame_type,
    shift_wcs,
)
from .instrument import Instrument
from .intact import changed_units
from .keywords import Keyword
from .kinds import checked_classification
from .mosaic import WHOLE, color_planes
from .plausibility import implausible
from .reader import FrameHeader, data_sums, is_product, read_frame, read_header
from .readouts import Readout
from .section import Section, format_section, parse_section, section_shape
from .source import is_fits_name
from .toml_text import starting_toml
from .understanding import Understanding, understand
from .units import format_unit, parse_unit
from .wcs import wcs_of
from .writer import write_frame

__all__ = [
    "GENERIC",
    "MAXIM",
    "WHOLE",
    "Amplifier",
    "Corners",
    "Fact",
    "FrameHeader",
    "Instrument",
    "Keyword",
    "MaskBit",
    "OpenFrame",
    "Readout",
    "Section",
    "Understanding",
    "add_calstat",
    "add_history",
    "amplifiers_of",
    "as_header",
    "calibrated_already",
    "changed_units",
    "checked_classification",
    "clean_product_header",
    "color_planes",
    "data_sum",
    "data_sums",
    "find_instrument",
    "flags_of",
    "follow_limits",
    "format_section",
    "format_unit",
    "implausible",
    "is_fits_name",
    "is_product",
    "mark_electron",
    "open_frame",
    "parse_section",
    "parse_unit",
    "read_frame",
    "read_header",
    "section_shape",
    "set_card",
    "set_frame_type",
    "shift_wcs",
    "starting_toml",
    "understand",
    "wcs_of",
    "with_flags",
    "write_frame",
]
