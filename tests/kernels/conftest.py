"""Run the tests of the kernels with each implementation."""

import importlib

import pytest

from bmp_astro.kernels import calibrate_numpy, combine_numpy, combine_raw, compiled


@pytest.fixture(params=["C", "numpy"], autouse=True, scope="session")
def implementation(request):
    """Use the compiled kernels, or their numpy twins, in every test of this directory."""
    if request.param == "C" and compiled.module is None:
        pytest.skip("the compiled kernels are not installed")
    calibrating, combining = (
        importlib.import_module(f"bmp_astro.kernels.{name}") for name in ("calibrate", "combine")
    )
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setattr(calibrating, "_calibrate", calibrate_numpy.calibrate)
            patch.setattr(combining, "_combine", combine_numpy.combine)
            patch.setattr(combining, "_combine_raw", combine_raw.combine_blocks)
        else:
            patch.setattr(calibrating, "_calibrate", compiled.module.calibrate)
            patch.setattr(combining, "_combine", combining._combine_compiled)
            patch.setattr(combining, "_combine_raw", combining._combine_raw_compiled)
        yield request.param
