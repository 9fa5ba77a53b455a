"""One run at a time in a directory; what dead runs left is swept and never in the way."""

import os
import subprocess
import sys
import time

import pytest

from bmp_astro.core.atomic import ABANDONED, new_owner, sweep, temporary_beside, write_beside
from bmp_astro.core.locks import LOCK_NAME, DirectoryInUse, locked, scratch

HOLD = """
import sys, time
from bmp_astro.core.locks import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_refused_until_the_holder_is_gone(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DirectoryInUse, match=f"process {holder.pid}"), locked(tmp_path):
            pass
    finally:
        holder.kill()
        holder.communicate()
    assert (tmp_path / LOCK_NAME).exists()
    with locked(tmp_path) as held:
        assert held
    assert not (tmp_path / LOCK_NAME).exists()


def test_the_same_process_is_refused_too(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    with (
        locked(tmp_path),
        pytest.raises(DirectoryInUse, match="this process"),
        locked(tmp_path / "link"),
    ):
        pass
    with locked(tmp_path) as held:
        assert held


def test_scratch_is_removed_also_after_a_run_that_died(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stale = tmp_path / "bmp_astro-stale"
    stale.mkdir()
    (stale / LOCK_NAME).touch()
    with scratch() as folder, scratch() as other:
        assert os.path.isdir(folder)
        assert os.path.isdir(other)
        assert not stale.exists()
    assert os.listdir(tmp_path) == []


def test_sweep_takes_temporaries_and_nothing_else(tmp_path):
    for name in ("a.fits", ".hidden", ".a.fits.bmptmp"):
        (tmp_path / name).touch()
    stale = temporary_beside(str(tmp_path / "a.fits.gz"))
    open(stale, "w").close()
    assert sweep(tmp_path) == [stale]
    assert sorted(os.listdir(tmp_path)) == [".a.fits.bmptmp", ".hidden", "a.fits"]
    assert sweep(tmp_path / "missing") == []


def test_sweep_tells_runs_apart_and_what_is_being_written(tmp_path):
    mine, other = new_owner(), new_owner()
    names = [temporary_beside(str(tmp_path / "a.fits"), owner) for owner in (mine, other, "")]
    for name in names:
        open(name, "w").close()
    assert len(set(names)) == 3
    assert sweep(tmp_path, idle=ABANDONED) == []
    assert sweep(tmp_path, owner=mine) == names[:1]
    long_ago = time.time() - ABANDONED - 60
    os.utime(names[1], (long_ago, long_ago))
    assert sweep(tmp_path, idle=ABANDONED) == names[1:2]
    assert os.listdir(tmp_path) == [os.path.basename(names[2])]


DIES_BEFORE_THE_RENAME = """
import os, sys
from astropy.nddata import CCDData
from bmp_astro import write_frame
os.replace = lambda *names: os._exit(7)
write_frame(CCDData([[1.0]], unit="adu"), sys.argv[1])
"""


@pytest.mark.parametrize("stem", ["n" * 200, "\N{CJK UNIFIED IDEOGRAPH-661F}" * 80])
def test_temporaries_of_long_names_fit_the_file_system_and_are_swept(tmp_path, stem):
    """Also the one that the writer of FITS files makes beside ours."""
    inner = temporary_beside(str(tmp_path / f"{stem}.fits"))
    done = subprocess.run([sys.executable, "-c", DIES_BEFORE_THE_RENAME, inner], check=False)
    assert done.returncode == 7
    (left,) = os.listdir(tmp_path)
    assert left != os.path.basename(inner)
    assert sweep(tmp_path) == [str(tmp_path / left)]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    final = tmp_path / ("n" * 230 + ".fits")
    final.write_text("old")

    def fails(name):
        with open(name, "w") as file:
            file.write("half")
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        write_beside(fails, str(final))
    assert final.read_text() == "old"

    def writes(name):
        with open(name, "w") as file:
            file.write("new")
        return name

    assert write_beside(writes, str(final)) == str(final)
    assert final.read_text() == "new"
    assert os.listdir(tmp_path) == [final.name]
    # As any file that is opened anew: mkstemp would make one that only its owner can read.
    umask = os.umask(0)
    os.umask(umask)
    assert final.stat().st_mode & 0o777 == 0o666 & ~umask
