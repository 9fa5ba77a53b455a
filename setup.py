"""The compiled modules, which setup.cfg cannot declare; everything else is there."""

import os
from glob import glob

from setuptools import Extension, setup

required = os.environ.get("BMP_ASTRO_REQUIRE_C") == "1"
# What is computed is as written, rounded at each step; only traps and errno are not kept.
flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno"]


def compiled(part: str, *names: str) -> Extension:
    """Return an extension of a part of the package, named as the first of its sources."""
    return Extension(
        f"bmp_astro.{part}.{names[0]}",
        [f"bmp_astro/{part}/{name}.c" for name in names],
        depends=["bmp_astro/vectorized.h", *glob(f"bmp_astro/{part}/*.h")],
        extra_compile_args=flags + (["-Wall", "-Wextra", "-Werror"] if required else []),
        py_limited_api=True,
        optional=not required,
    )


setup(
    ext_modules=[
        compiled("kernels", "_kernels", "load", "calibrate", "combine", "combine_raw"),
        compiled("fits", "_words"),
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
