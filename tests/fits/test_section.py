import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmp_astro.fits import format_section, parse_section, section_shape


@pytest.mark.parametrize(
    ("text", "corner", "shape"),
    [
        ("[1:4,1:3]", (0, 0), (3, 4)),
        ("[  17: 20,   2: 3]", (1, 16), (2, 4)),
        (" [2:2, 1:3 ] ", (0, 1), (3, 1)),
    ],
)
def test_a_section_cuts_the_pixels_that_fits_means(text, corner, shape):
    image = np.arange(24 * 24).reshape(24, 24)
    cut = image[parse_section(text)]
    assert cut.shape == shape == section_shape(parse_section(text))
    assert cut[0, 0] == image[corner]


def test_a_reversed_range_flips():
    image = np.arange(20).reshape(4, 5)
    np.testing.assert_array_equal(image[parse_section("[5:1,1:4]")], image[:, ::-1])
    np.testing.assert_array_equal(image[parse_section("[1:5,4:2]")], image[3:0:-1])


@pytest.mark.parametrize(
    "text",
    ["UNKNOWN ", "[0:0,0:0]", "", "[1:2]", "[1:2,3]", "[a:b,c:d]", "[1:2,3:4", "[-1:2,1:2]", None],
)
def test_what_is_no_section_is_an_error_that_shows_it(text):
    with pytest.raises(ValueError, match="is not a section") as caught:
        parse_section(text)
    assert repr(text) in str(caught.value)


ends = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@given(ends, ends)
def test_text_and_slices_are_inverse(x, y):
    text = f"[{x[0]}:{x[1]},{y[0]}:{y[1]}]"
    section = parse_section(text)
    assert parse_section(format_section(section)) == section
    assert section_shape(section) == (abs(y[1] - y[0]) + 1, abs(x[1] - x[0]) + 1)
    if x[0] != x[1] and y[0] != y[1]:
        assert format_section(section) == text


@pytest.mark.parametrize("part", [slice(None), slice(3, 3), slice(0, 8, 2), slice(-4, -1)])
def test_slices_without_a_section_are_refused(part):
    with pytest.raises(ValueError, match="has no FITS section"):
        format_section((slice(0, 2), part))
