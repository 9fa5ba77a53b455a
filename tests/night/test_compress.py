import numpy as np

from bmp_astro import read_frame, reduce_night
from bmp_astro.simulate import simulate_night


def test_compressed_lights_have_their_names_and_are_resumed(tmp_path):
    simulate_night(tmp_path / "raw", shape=(64, 96), bad_files=False)
    plain = reduce_night(tmp_path / "raw", tmp_path / "plain", num_processes=1)
    table = reduce_night(tmp_path / "raw", tmp_path / "out", num_processes=2, compress=True)
    lights = table["frame_type"] == "light"
    assert set(table["status"]) == {"done"}
    written = sorted(path.name for path in (tmp_path / "out" / "lights").iterdir())
    assert written
    assert all(name.endswith("_reduced.fits.fz") for name in written)
    for packed, other in zip(table[lights]["outname"], plain[lights]["outname"], strict=True):
        one, two = read_frame(packed), read_frame(other)
        sigma = np.median(two.uncertainty.array)
        assert np.abs(one.data - two.data).max() < sigma / 8
        assert np.abs(one.data - two.data).std() > 0
        np.testing.assert_array_equal(one.flags, two.flags)
        assert one.header["MFLAT"] == two.header["MFLAT"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "lights").iterdir()}
    again = reduce_night(tmp_path / "raw", tmp_path / "out", num_processes=1, compress=True)
    assert set(again[lights]["status"]) == {"skipped"}
    assert {path: path.stat().st_mtime_ns for path in before} == before
    loose = reduce_night(tmp_path / "raw", tmp_path / "out", num_processes=1)
    assert set(loose[lights]["status"]) == {"done"}
