"""A pytest plugin for environments without torch: what imports torch is skipped. `make check-light` uses it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest


class SkippingFinder(MetaPathFinder, Loader):
    """Finds torch, and skips the test or the file that goes on to import it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == "torch" else None

    def exec_module(self, module: ModuleType) -> None:
        pytest.skip("needs torch", allow_module_level=True)


sys.meta_path.append(SkippingFinder())
