"""Sphinx configuration: MyST pages, furo."""

project = "morl"
author = "The morl authors"
extensions = ["myst_nb"]
html_theme = "furo"
html_title = "morl"
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
