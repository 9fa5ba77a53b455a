"""Masters that were just written are taken from memory, as if their file had been read."""

import numpy as np
import pytest
from astropy.nddata import VarianceUncertainty

from bmp_astro.fits import write_frame
from bmp_astro.steps import master


@pytest.fixture
def reads(monkeypatch):
    """The files whose pixels are read."""
    names, real = [], master.read_frame

    def counted(name):
        names.append(name)
        return real(name)

    monkeypatch.setattr(master, "read_frame", counted)
    return names


@pytest.fixture
def made(sample):
    """A master as the package makes one."""
    ccd = sample.bias.copy()
    ccd.data = ccd.data.astype(np.float32)
    ccd.uncertainty.array = ccd.uncertainty.array.astype(np.float32)
    ccd.flags = np.zeros(ccd.shape, np.uint8)
    ccd.flags[0, 0] = 1
    ccd.mask = ccd.flags != 0
    return ccd


def test_a_kept_master_is_what_its_file_says(made, tmp_path, reads):
    written = write_frame(made, tmp_path / ".bias.part.fits", checksum=True)
    master.keep_master(written, made)
    path = written.rename(tmp_path / "bias.fits")
    kept = master.open_master(path, "bias", made)
    assert reads == []
    other = tmp_path / "copy.fits"
    other.write_bytes(path.read_bytes())
    read = master.open_master(other, "bias", made)
    assert reads == [str(other)]
    for one, two in (
        (kept.ccd.data, read.ccd.data),
        (kept.sigma, read.sigma),
        (kept.flags, read.flags),
    ):
        np.testing.assert_array_equal(one, two)
        assert one.dtype == two.dtype
        assert not one.flags.writeable
    names = {"FILENAME"}
    assert {card[:2] for card in kept.ccd.header.cards if card[0] not in names} == {
        card[:2] for card in read.ccd.header.cards if card[0] not in names
    }
    assert (kept.checksum, kept.level, kept.name) == (read.checksum, read.level, "bias.fits")
    assert (kept.ccd.unit, kept.ccd.wcs) == (read.ccd.unit, read.ccd.wcs)


def test_a_file_that_changed_after_it_was_written_is_read(made, tmp_path, reads):
    path = write_frame(made, tmp_path / "bias.fits")
    master.keep_master(path, made)
    made.data[0, 0] += 1
    write_frame(made, path, overwrite=True)
    assert master.load_master(path).data[0, 0] == made.data[0, 0]
    assert reads == [str(path)]


def as_variance(ccd):
    ccd.uncertainty = VarianceUncertainty(ccd.uncertainty.array)


CHANGES = {
    "dtype": lambda ccd: setattr(ccd, "data", ccd.data.astype(float)),
    "no uncertainty": lambda ccd: setattr(ccd, "uncertainty", None),
    "variance": as_variance,
    "no flags": lambda ccd: setattr(ccd, "flags", None),
    "mask": lambda ccd: ccd.mask.__setitem__((3, 3), True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_file_would_not_give_back_is_not_kept(made, tmp_path, reads, change):
    change(made)
    path = write_frame(made, tmp_path / "bias.fits")
    master.keep_master(path, made)
    master.load_master(path)
    assert reads == [str(path)]


def test_no_more_are_kept_than_are_read(made, tmp_path, reads):
    paths = [tmp_path / f"{number}.fits" for number in range(master.CACHE_SIZE + 1)]
    for path in paths:
        master.keep_master(write_frame(made, path), made)
    for path in reversed(paths):
        master.load_master(path)
    assert reads == [str(paths[0])]


def test_flags_that_are_not_set_take_no_memory(made, tmp_path):
    made.flags[:] = 0
    made.mask = None
    ccd = master.load_master(write_frame(made, tmp_path / "bias.fits"))
    assert ccd.flags.strides == (0, 0)
    assert not ccd.flags.any()
    assert ccd.mask is None
