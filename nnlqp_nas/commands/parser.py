"""Arguments that several commands take, and a parser that refuses in one line."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and whose epilog keeps its lines."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read more, and leave with exit code 2."""
        sys.stderr.write(f"{self.prog}: {' '.join(message.split())}; see: {self.prog} --help\n")
        sys.exit(2)


def add_model(parser: Parser) -> None:
    """Add MODEL and the batch size to run it at."""
    parser.add_argument("model", metavar="MODEL.onnx", help="an ONNX file, with or without weights")
    parser.add_argument("--batch-size", type=_batch_size, default=1, metavar="N", help="inputs per run (default 1)")


def add_platform(parser: Parser) -> None:
    """Add the one platform that a command needs."""
    parser.add_argument(
        "--platform", required=True, metavar="P", help="such as cpu-onnxruntime-fp32, or a short name; see: nnlqp-nas platforms"
    )


def add_predictor(parser: Parser) -> None:
    """Add the predictor."""
    parser.add_argument(
        "--predictor",
        metavar="NAME_OR_FILE",
        help="a pretrained or adapted predictor, or a checkpoint (default: your adapted one, else universal)",
    )


def add_database(parser: Parser) -> None:
    """Add the database."""
    parser.add_argument(
        "--database", metavar="FILE_OR_URL", help="latency database (default: $NNLQP_NAS_DATABASE, else in your data folder)"
    )


def add_json(parser: Parser) -> None:
    """Add the choice of JSON."""
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def _batch_size(text: str) -> int:
    try:
        batch_size = int(text)
    except ValueError:
        batch_size = 0
    if batch_size < 1:
        raise argparse.ArgumentTypeError(f"expected a batch size >= 1, got {text}")
    return batch_size
