"""`ligero serve`: an exported model over HTTP."""

from __future__ import annotations

import argparse
from dataclasses import fields

from ligero.common.errors import ConfigurationError
from ligero.serving.app import Limits, serve


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    given = {
        field.name: getattr(args, field.name)
        for field in fields(Limits)
        if getattr(args, field.name) is not None
    }
    for name, value in given.items():
        if not value > 0:
            raise ConfigurationError(f"--{name.replace('_', '-')} {value}: expected a number above 0")
    serve(
        args.folder,
        args.host,
        args.port,
        precision=args.precision,
        threads=args.threads,
        full_depth=args.full_depth,
        limits=Limits(**given),
    )
    return 0
