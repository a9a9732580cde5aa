"""How Sphinx builds the pages: `make docs` writes them to site/, and a broken link ends it."""

project = "nightmarket"
author = "the nightmarket authors"
extensions = ["myst_parser"]
exclude_patterns = ["sample"]
html_theme = "furo"
html_title = "nightmarket"
html_baseurl = ""
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
suppress_warnings: list[str] = []
