"""Damaged files: astropy's answer or a clear error, never a crash."""

import contextlib
import io
import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmp_astro.fits import open_frame, read_frame, read_header
from bmp_astro.fits.cardindex import simple_header

BITPIX = {"u1": 8, "i2": 16, "i4": 32, "f4": -32, "f8": -64}


def image(kind, cards):
    pixels = np.arange(35).reshape(5, 7).astype(f">{kind}" if kind != "u1" else "u1")
    header = fits.Header({"EXPTIME": 30.0, "OBJECT": "M 1", **cards})
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(pixels, header), fits.ImageHDU(pixels)]).writeto(stream)
    return stream.getvalue()


edits = st.one_of(
    st.tuples(st.just("byte"), st.integers(0, 8640), st.integers(0, 255)),
    st.tuples(st.just("cut"), st.integers(0, 11520), st.just(0)),
    st.tuples(
        st.just("card"),
        st.integers(0, 12),
        st.sampled_from(
            [
                "NAXIS1  = 99999999999999999999",
                "NAXIS1  = -7",
                "NAXIS2  = 'five'",
                "NAXIS   = 1000000",
                "BITPIX  = 17",
                "BITPIX  = 16.0",
                "BSCALE  = 1E400",
                "BZERO   = NaN",
                "BLANK   = 1E5",
                "GCOUNT  = 1000000000",
                "PCOUNT  = -1",
                "XTENSION= 'IMAGE'",
                "END",
                "CONTINUE  'x'",
                "EXPTIME = ",
                "EXPTIME = 1 2 3",
                "HIERARCH = = =",
                "\0" * 80,
                "\xff" * 80,
            ]
        ),
    ),
)


def damaged(content, changes):
    content = bytearray(content)
    for kind, at, value in changes:
        if kind == "byte" and at < len(content):
            content[at] = value
        elif kind == "cut":
            del content[at:]
        elif kind == "card":
            content[80 * at : 80 * at + 80] = value.ljust(80)[:80].encode("latin-1")
    return bytes(content)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(BITPIX)), st.lists(edits, min_size=1, max_size=4))
def test_any_damage_gives_a_frame_or_a_clear_error(tmp_path_factory, kind, changes):
    path = tmp_path_factory.getbasetemp() / f"fuzz-{kind}.fits"
    path.write_bytes(damaged(image(kind, {}), changes))
    problem = None
    try:
        ccd = read_frame(path)
    except (OSError, ValueError) as error:
        problem = str(error)
    if problem is not None:
        assert path.name in problem
    else:
        assert ccd.data.ndim == 2
        assert read_header(path).shape == ccd.shape
        with open_frame(path) as frame:
            np.testing.assert_array_equal(frame.rows(0, 1), ccd.data[:1])
        assert_astropy_agrees(path, ccd)
    with contextlib.suppress(OSError):
        found = simple_header(path)
        if found is not None:
            assert found[1] == read_header(path).shape


def assert_astropy_agrees(path, ccd):
    """Where astropy reads an image of the same shape, its pixels must be ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs = fits.getdata(path, 0)
        except Exception:  # what astropy cannot read has nothing to compare with
            return
    if theirs is None or theirs.shape != ccd.shape or ccd.flags is not None:
        return
    if theirs.dtype.kind == "f" and not np.isfinite(theirs).all():
        return  # by a BSCALE that no number can hold, which is a malformed card to us
    ours = ccd.data.astype(theirs.dtype.newbyteorder("="), copy=False)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("length", [0, 1, 79, 80, 2879, 2880, 2949])
def test_a_file_of_any_length_is_an_error_that_names_it(tmp_path, length):
    path = tmp_path / "short.fits"
    path.write_bytes(image("i2", {})[:length])
    with pytest.raises(OSError, match="short"):
        read_frame(path)
