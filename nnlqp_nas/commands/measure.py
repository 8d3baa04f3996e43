"""``nnlqp-nas measure``: true latency on this machine, stored in the database."""

from __future__ import annotations

import argparse
from contextlib import closing

from .output import print_answer
from .parser import Parser, add_database, add_json, add_model, add_platform

EXAMPLES = """examples:
  nnlqp-nas measure resnet18.onnx --platform cpu-onnxruntime-fp32
  nnlqp-nas measure resnet18.onnx --platform cpu-onnxruntime-int8 --batch-size 8 --json"""


def add_arguments(parser: Parser) -> None:
    """Add what the command takes."""
    add_model(parser)
    add_platform(parser)
    add_database(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure the model and store the result."""
    from ..database import open_database
    from ..graphs import read_graph
    from ..measurable import available_backend
    from ..oracles import MeasuredOracle
    from ..platform_status import resolve_platform

    with closing(open_database(arguments.database)) as database:
        platform = resolve_platform(arguments.platform, database=database)
        graph = read_graph(arguments.model, platform.view)
        (answer,) = MeasuredOracle(available_backend(platform)).query([graph], arguments.batch_size)
        database.add([answer])
    return print_answer(answer, arguments.model, arguments.json)
