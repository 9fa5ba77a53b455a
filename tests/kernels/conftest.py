"""Run the tests of the kernels with each implementation."""

import importlib

import pytest

from bmp_astro.kernels import calibrate_numpy, compiled


@pytest.fixture(params=["C", "numpy"], autouse=True, scope="session")
def implementation(request):
    """Use the compiled kernels, or their numpy twins, in every test of this directory."""
    if request.param == "C" and compiled.module is None:
        pytest.skip("the compiled kernels are not installed")
    public = importlib.import_module("bmp_astro.kernels.calibrate")
    chosen = compiled.module if request.param == "C" else calibrate_numpy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public, "_calibrate", chosen.calibrate)
        yield request.param
