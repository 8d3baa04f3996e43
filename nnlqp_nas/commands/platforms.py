"""``nnlqp-nas platforms``: every platform known, and what can be told of it."""

from __future__ import annotations

import argparse
from contextlib import closing

from .output import print_json, print_table
from .parser import Parser, add_database, add_json, add_predictor

EXAMPLES = """examples:
  nnlqp-nas platforms
  nnlqp-nas platforms --json
  nnlqp-nas platforms --predictor mine.safetensors"""


def add_arguments(parser: Parser) -> None:
    """Add what the command takes."""
    add_predictor(parser)
    add_database(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """List the platforms."""
    from ..database import open_database
    from ..platform_status import describe_platforms

    with closing(open_database(arguments.database)) as database:
        states = describe_platforms(arguments.predictor, database)
    if arguments.json:
        print_json([state.to_json() for state in states])
        return 0
    rows = [
        (str(state.platform), _tick(state.is_measurable), _tick(state.is_predictable), str(state.n_rows), state.reason or "")
        for state in states
    ]
    print_table(("platform", "measurable", "predictable", "rows", "why not measurable here"), rows)
    return 0


def _tick(holds: bool) -> str:
    return "yes" if holds else "no"
