"""``nnlqp-nas dataset``: import, export and describe latency data sets, NNLQP's and ours."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from .parser import Parser, add_database, add_json

EXAMPLES = """examples:
  nnlqp-nas dataset info                                       the measurements that are shipped
  nnlqp-nas dataset info dataset/multi_platform --json         a folder of NNLQP's; a parquet file or a database does too
  nnlqp-nas dataset import dataset/multi_platform              NNLQP's download, into the latency database
  nnlqp-nas dataset import rows.parquet --database mine.sqlite
  nnlqp-nas dataset export shipped                             a folder with gt.txt, platforms.txt and onnx/ without weights
  nnlqp-nas dataset export t4.parquet --from rows.parquet --platform gpu-T4-trt7.1-fp32

NNLQP's list gt.txt has lines "GraphID OnnxPath BatchSize Latency ModelType PlatformId [Stage]". Lines that cannot be
read are named on standard error and the rest is kept. Importing again adds nothing; an import that was stopped goes on."""


def add_arguments(parser: Parser) -> None:
    """Add what the command takes."""
    actions = parser.add_subparsers(dest="action", metavar="import|export|info", required=True)
    for name, does, add in (
        ("import", "read NNLQP's gt.txt and onnx/, or our parquet, into the latency database", _add_import),
        ("export", "write measurements in NNLQP's layout, or as parquet", _add_export),
        ("info", "count rows by platform and family", _add_info),
    ):
        action = actions.add_parser(name, help=does, description=does, epilog=EXAMPLES)
        add(action)
        add_json(action)


def run(arguments: argparse.Namespace) -> int:
    """Import, export or describe."""
    from .dataset_actions import describe, export_rows, import_results

    actions: dict[str, Callable[[argparse.Namespace], int]] = {"import": import_results, "export": export_rows, "info": describe}
    return actions[arguments.action](arguments)


def _add_import(parser: Parser) -> None:
    parser.add_argument("source", metavar="FOLDER_OR_FILE", type=Path, help="gt.txt, a parquet file, or a folder that holds such files")
    _add_platform_ids(parser)
    add_database(parser)


def _add_export(parser: Parser) -> None:
    parser.add_argument("target", metavar="FOLDER_OR_FILE.parquet", type=Path, help="where to; nothing that is there is replaced")
    parser.add_argument(
        "--from", dest="source", metavar="PARQUET", type=Path, help="a parquet file, or a folder of them (default: what is shipped)"
    )
    parser.add_argument("--platform", action="append", default=[], metavar="P", help="only this one; may be given several times")
    parser.add_argument("--family", action="append", default=[], metavar="F", help="only this one; may be given several times")
    parser.add_argument("--test-share", type=float, metavar="S", help="mark this share of the networks as test, the others as train")


def _add_info(parser: Parser) -> None:
    parser.add_argument(
        "source", nargs="?", metavar="SOURCE", help="parquet, gt.txt, a folder of them, or a database (default: what is shipped)"
    )
    _add_platform_ids(parser)


def _add_platform_ids(parser: Parser) -> None:
    parser.add_argument(
        "--platform-id",
        action="append",
        default=[],
        metavar="ID=NAME",
        help="the platform of a number in gt.txt that neither platforms.txt nor NNLQP's own numbering names",
    )
