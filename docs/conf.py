"""Sphinx settings. Nothing is fetched from the network, neither now nor by the pages."""

import inspect
from importlib.metadata import version as version_of

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import bmp_astro

project = "bmp_astro"
author = "the bmp_astro developers"
copyright = f"2026, {author}"
release = version_of("bmp_astro")
version = release

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
root_doc = "index"
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "py:obj"
highlight_language = "python3"

autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"bmp_astro {release}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
html_math_renderer = "mathml"


def formula(self, node):
    """Write a formula as MathML, which browsers draw without a script from elsewhere."""
    block = isinstance(node, nodes.math_block)
    self.body.append(tex2mathml(node.astext(), as_block=block))
    raise nodes.SkipNode


def top_level_name(app, env, node, contnode):
    """Resolve `bmp_astro.combine` to the page of `bmp_astro.masters.combine`."""
    package, _, name = node.get("reftarget", "").partition(".")
    home = bmp_astro._HOME_OF.get(name.partition(".")[0])
    if package != "bmp_astro" or home is None:
        return None
    domain = env.domains["py"]
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, "obj", f"{home}.{name}", node, contnode
    )


def short_signature(app, what, name, obj, options, signature, return_annotation):
    """Leave out the defaults of a signature that would fill a page with them."""
    if signature is None or len(signature) < 1000:
        return None
    return f"({', '.join(inspect.signature(obj).parameters)})", return_annotation


def setup(app):
    """Register what is above."""
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
    app.connect("missing-reference", top_level_name)
    app.connect("autodoc-process-signature", short_signature)
