import pytest

from bmp_astro.night.checks import check_usable
from bmp_astro.night.inventory import Frame


def test_what_cannot_be_used_is_named_as_it_was_given():
    frames = [Frame(f"{i}.fits", message="is no image", readable=False) for i in range(5)]
    with pytest.raises(
        ValueError, match=r"^no file in 0.fits can be used:\n  5 of 5: is no image$"
    ):
        check_usable(frames, "0.fits")
    names = [frame.path for frame in frames]
    with pytest.raises(ValueError, match=r"no file in 0.fits, 1.fits, 2.fits and 2 more can be"):
        check_usable(frames, names)
    with pytest.raises(ValueError, match="no FITS files in raw: names should end with"):
        check_usable([], "raw")
