"""Which kernels are used, what is said about it, and that the compiled ones touch no wrong byte."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmp_astro.kernels import compiled

ROOT = Path(__file__).resolve().parents[2]
LOOK = (
    "import logging; logging.basicConfig(format='%(name)s %(levelname)s %(message)s');"
    "import sys; {}; from bmp_astro.kernels import implementation; print(implementation)"
)


@pytest.fixture(autouse=True, scope="module")
def implementation():
    """What is tested here is not one of the implementations."""


def look(before="pass", **environment):
    """What a fresh interpreter prints of the kernels that it chose, and what it logs."""
    kept = {key: value for key, value in os.environ.items() if key != "BMP_ASTRO_KERNELS"}
    return subprocess.run(
        [sys.executable, "-c", LOOK.format(before)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=kept | environment,
    )


@pytest.mark.skipif(compiled.module is None, reason="no compiled kernels")
def test_compiled_kernels_are_used_where_they_are():
    done = look()
    assert (done.stdout.strip(), done.stderr) == ("C", "")


def test_the_twins_can_be_asked_for():
    done = look(BMP_ASTRO_KERNELS="numpy")
    assert (done.stdout.strip(), done.stderr) == ("numpy", "")


def test_that_there_is_no_compiled_module_is_said_once():
    done = look("sys.modules['bmp_astro.kernels._kernels'] = None")
    assert done.stdout.strip() == "numpy"
    assert done.stderr.count("bmp_astro.kernels.compiled WARNING") == 1
    assert "numpy twins" in done.stderr


def test_processes_of_the_same_run_do_not_say_it_again():
    hidden = (
        "import sys; sys.modules['bmp_astro.kernels._kernels'] = None; import bmp_astro.kernels"
    )
    again = f"import subprocess; subprocess.run([sys.executable, '-c', {hidden!r}], check=True)"
    done = look(f"{hidden}; {again}")
    assert done.stderr.count("numpy twins") == 1


def build(*options, **environment):
    """Build the extension from the sources into a directory that is given by the options."""
    if not (ROOT / "setup.py").exists():
        pytest.skip("no sources to build from")
    return subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def test_without_a_compiler_the_build_goes_on_unless_it_is_required(tmp_path):
    pytest.importorskip("setuptools")
    options = ("--build-lib", str(tmp_path / "lib"), "--build-temp", str(tmp_path / "tmp"))
    no_compiler = {"CC": "/nonexistent/cc"}
    done = build(*options, BMP_ASTRO_REQUIRE_C="0", **no_compiler)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*.so"))
    assert build(*options, BMP_ASTRO_REQUIRE_C="1", **no_compiler).returncode != 0


def test_kernels_run_clean_under_the_sanitizers(run_sanitized):
    run_sanitized("kernels", Path(__file__).with_name("sanitized.py"))
