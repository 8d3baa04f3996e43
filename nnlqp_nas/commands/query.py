"""``nnlqp-nas query``: the database first, then a measurement, then a prediction; says which."""

from __future__ import annotations

import argparse
from contextlib import closing

from .output import print_answer
from .parser import Parser, add_database, add_json, add_model, add_platform, add_predictor

EXAMPLES = """examples:
  nnlqp-nas query resnet18.onnx --platform cpu-onnxruntime-fp32      the second time it comes from the database
  nnlqp-nas query resnet18.onnx --platform gpu-T4-trt7.1-fp32 --json"""


def add_arguments(parser: Parser) -> None:
    """Add what the command takes."""
    add_model(parser)
    add_platform(parser)
    add_predictor(parser)
    add_database(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Answer from the first source that knows."""
    from ..api import load_oracle
    from ..database import open_database

    with closing(open_database(arguments.database)) as database:
        oracle = load_oracle(arguments.platform, "truth", database, arguments.predictor)
        (answer,) = oracle.query([arguments.model], arguments.batch_size)
    return print_answer(answer, arguments.model, arguments.json)
