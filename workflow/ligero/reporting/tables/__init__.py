"""One file per family of tables; `reporting/registry.py` lists them."""
