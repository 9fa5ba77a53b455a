"""The compiled kernels, which setup.cfg cannot declare; everything else is there."""

import os
from glob import glob

from setuptools import Extension, setup

required = os.environ.get("BMP_ASTRO_REQUIRE_C") == "1"
# What is computed is as written, rounded at each step; only traps and errno are not kept.
flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno"]
kernels = Extension(
    "bmp_astro.kernels._kernels",
    [f"bmp_astro/kernels/{name}.c" for name in ("_kernels", "load", "calibrate", "combine")],
    depends=glob("bmp_astro/kernels/*.h"),
    extra_compile_args=flags + (["-Wall", "-Wextra", "-Werror"] if required else []),
    py_limited_api=True,
    optional=not required,
)
setup(ext_modules=[kernels], options={"bdist_wheel": {"py_limited_api": "cp311"}})
