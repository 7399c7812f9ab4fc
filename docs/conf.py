"""How the documentation is built: Sphinx, MyST, furo. Warnings are errors (see the Makefile)."""

from __future__ import annotations

from importlib.metadata import version as version_of

project = "bowtie"
author = "the bowtie authors"
copyright = "the bowtie authors"  # noqa: A001  # the name Sphinx asks for
version = release = version_of("bowtie-journeys")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "Thumbs.db", ".DS_Store"]

myst_enable_extensions = ["colon_fence", "deflist"]
# so that pages can link to each other's headings
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    # pydantic's own members would bury the fields
    "exclude-members": "model_config, model_fields, model_post_init, model_computed_fields",
}
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"bowtie {release}"
html_static_path = ["_static"]

# attributes are told in a class's docstring; some are properties too, with a docstring of their own
napoleon_use_ivar = True
