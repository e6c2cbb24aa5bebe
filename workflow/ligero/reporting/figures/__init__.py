"""One file per kind of figure; `reporting/registry.py` lists them."""
