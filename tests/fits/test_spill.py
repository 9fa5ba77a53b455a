"""Compressed files that are unpacked into temporary files."""

import os
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from astropy.nddata import CCDData

from bmp_astro.fits import open_frame, write_frame

PROGRAM = """
import resource, sys
from bmp_astro.fits import open_frame
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
with open_frame(sys.argv[1], spills=True) as frame:
    print(frame.rows(0, 1))
"""


@pytest.fixture(params=[".fits.gz", ".fits.fz", ".fits"])
def path(request, tmp_path):
    """A frame with all planes, compressed in one way or another."""
    rng = np.random.default_rng(3)
    ccd = CCDData(rng.normal(100, 5, (70, 50)).astype(np.float32), unit="adu")
    ccd.flags = (rng.random(ccd.shape) < 0.1).astype(np.uint8)
    ccd.mask = ccd.flags != 0
    return write_frame(ccd, tmp_path / f"frame{request.param}")


def test_rows_are_the_same_wherever_they_are_unpacked(path, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with open_frame(path, summed=True) as one, open_frame(path, summed=True, spills=True) as other:
        for rows in ((0, 70), (13, 14), (65, 70), (0, 5)):
            for plain, spilled in zip(one.read(*rows), other.read(*rows), strict=True):
                np.testing.assert_array_equal(plain, spilled)
        assert one.checksum() == other.checksum()
        assert os.listdir(folder) == []
    assert os.listdir(folder) == []


@pytest.mark.parametrize("path", [".fits.gz", ".fits.fz"], indirect=True)
def test_a_temporary_directory_without_room(path):
    command = [sys.executable, "-c", PROGRAM, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"OSError: {path} cannot be unpacked into {tempfile.gettempdir()}: " in done.stderr
    assert "set TMPDIR to a directory with more room" in done.stderr


@pytest.mark.parametrize("path", [".fits.gz", ".fits.fz"], indirect=True)
def test_a_temporary_directory_that_is_not_there(path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/not/there")
    message = r"cannot be unpacked into /not/there: .*set TMPDIR"
    with pytest.raises(OSError, match=message), open_frame(path, spills=True) as frame:
        frame.rows(0, 1)
