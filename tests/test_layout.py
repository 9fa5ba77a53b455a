"""The shape of the package: which part may import which, how light it is, how long a module is."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import bmp_astro

PACKAGE = Path(bmp_astro.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted(path for ending in ("py", "c", "h") for path in PACKAGE.rglob(f"*.{ending}"))

ARROWS = {
    "core": set(),
    "memory": set(),
    "fits": {"memory"},
    "kernels": {"memory"},
    "steps": {"fits", "kernels"},
    "masters": {"core", "memory", "fits", "kernels", "steps"},
    "ccdmultipipe": {"core", "memory", "fits", "kernels", "steps", "masters"},
    "night": {"core", "fits", "masters", "ccdmultipipe"},
    "report": {"fits"},
    "simulate": {"fits"},
    "cli": {"core", "fits", "masters", "night", "report", "simulate"},
    "__main__": {"cli"},
    "__init__": set(),
}


def part_of(path):
    """The part of the package that a file belongs to: its top folder or its own name."""
    top = path.relative_to(PACKAGE).parts[0]
    return top.removesuffix(".py")


def imported_parts(path):
    """Every part of ours that a file imports, wherever in the file it does so."""
    package = ("bmp_astro", *path.relative_to(PACKAGE).parts[:-1])
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names += [module] + [f"{module}.{alias.name}" for alias in node.names]
    split = [name.split(".") for name in names]
    return {parts[1] for parts in split if parts[0] == "bmp_astro" and len(parts) > 1}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_part_imports_only_what_its_arrows_allow(path):
    part = part_of(path)
    parts_of_ours = imported_parts(path) & set(ARROWS)
    assert parts_of_ours <= ARROWS[part] | {part}


def test_every_part_of_the_package_has_its_arrows_here():
    assert {part_of(path) for path in MODULES} <= set(ARROWS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_stays_short(path):
    assert len(path.read_text().splitlines()) <= 400


def modules_after(*arguments):
    """The modules that a fresh interpreter has loaded after running ``arguments``."""
    code = (
        "import sys, runpy, contextlib, io\n"
        f"arguments = {arguments!r}\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    try:\n"
        "        exec(arguments[0])\n"
        "    except SystemExit:\n"
        "        pass\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_core_needs_neither_numpy_nor_astropy():
    loaded = modules_after("import bmp_astro.core")
    assert "bmp_astro.core" in loaded
    assert not loaded & {"numpy", "astropy"}


def test_the_commands_help_needs_neither_numpy_nor_astropy():
    loaded = modules_after("from bmp_astro.cli import main; main(['--help'])")
    assert "bmp_astro.cli" in loaded
    assert not loaded & {"numpy", "astropy", "ccdproc", "matplotlib"}


def test_every_public_name_can_be_had():
    for name in bmp_astro.__all__:
        assert getattr(bmp_astro, name) is not None
    assert set(bmp_astro.__all__) <= set(dir(bmp_astro))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = bmp_astro.no_such_name


def step_functions():
    """Every public step, by name."""
    steps = importlib.import_module("bmp_astro.steps")
    public = {name: getattr(steps, name) for name in steps.__all__}
    return {
        name: function
        for name, function in public.items()
        if inspect.isfunction(function) and "kwargs" in inspect.signature(function).parameters
    }


def test_a_control_keyword_means_one_thing_in_every_step():
    defaults = {}
    for name, function in step_functions().items():
        for key, parameter in list(inspect.signature(function).parameters.items())[1:]:
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                defaults.setdefault(key, {})[name] = parameter.default
    assert len(step_functions()) > 8
    differing = {key: found for key, found in defaults.items() if len(set(found.values())) > 1}
    assert not differing


def test_steps_of_the_contract_have_its_names_and_defaults():
    steps = importlib.import_module("bmp_astro.steps")
    contract = {
        "subtract_overscan": {
            "overscan_section": None,
            "overscan_axis": None,
            "overscan_method": "polynomial",
            "overscan_order": 2,
            "overscan_sigma": 3.0,
            "overscan_iterations": 1,
            "overscan_skip": 0,
        },
        "trim": {"trim_section": None},
        "subtract_bias": {"master_bias": None},
        "subtract_dark": {"master_dark": None, "dark_scale": None},
        "correct_gain": {"gain": None},
        "create_uncertainty": {"gain": None, "read_noise": None},
        "divide_flat": {"master_flat": None, "flat_min": 0.1},
        "mask_saturated": {"saturation": None},
        "remove_cosmic_rays": {
            "gain": None,
            "read_noise": None,
            "saturation": None,
            "cosmicray_sigma": 4.5,
            "cosmicray_replace": False,
        },
        "calibrate": {
            "master_bias": None,
            "master_dark": None,
            "master_flat": None,
            "bad_pixel_mask": None,
            "instrument": None,
        },
        "header_to_meta": {"bmp_meta": None, "header_keys": ()},
        "image_statistics": {"bmp_meta": None},
        "as_single": {},
    }
    for name, keywords in contract.items():
        parameters = inspect.signature(getattr(steps, name)).parameters
        found = {key: parameters[key].default for key in keywords}
        assert found == keywords, name
        assert parameters["kwargs"].kind is inspect.Parameter.VAR_KEYWORD, name
