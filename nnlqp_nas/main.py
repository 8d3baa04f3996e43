"""The command ``nnlqp-nas``: finds the command that is meant, and turns errors into one line.

Exit codes: 0 done; 1 a measurement that did not succeed; 2 bad input; 70 a fault of this program;
130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from .commands.parser import Parser
from .core import NnlqpError

_EVERYDAY = {
    "platforms": "every platform known: measurable here, predictable, rows in the database",
    "predict": "predicted latency and interval of an ONNX model",
    "measure": "true latency of an ONNX model on this machine, stored in the database",
    "query": "latency from the database, else by measurement, else by prediction",
    "profile": "time by operator; slow and unsupported operators",
    "advise": "operators to avoid, platform, precision, backbone",
    "dataset": "import, export and describe latency data sets",
    "serve": "HTTP service and web page over the same oracle",
}
_RUNS = {
    "search": "search for the most accurate networks within a latency budget",
    "adapt": "adapt a predictor to a new platform from a few measurements",
    "train": "train or fine-tune a predictor on a data set",
    "campaign": "collect a latency data set, resumable",
}
_TRACEBACK = "NNLQP_NAS_TRACEBACK"
_BAD_INPUT, _FAULT, _INTERRUPTED = 2, 70, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: What stands behind the program's name; None takes the shell's.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        code = _dispatch(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except NnlqpError as error:
        code = _say(error, _BAD_INPUT)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone: not an error, but the interpreter would report it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            raise
        code = _say(f"fault: {type(error).__name__}: {error}; please report it with the traceback that {_TRACEBACK}=1 shows", _FAULT)
    return code


def offered_commands() -> dict[str, str]:
    """Return the commands of this installation and what each does."""
    return {name: does for name, does in (_EVERYDAY | _RUNS).items() if find_spec(f"{__package__}.commands.{name}") is not None}


def _dispatch(arguments: list[str]) -> int:
    offered = offered_commands()
    name = arguments[0] if arguments else "--help"
    if name not in offered:
        _parser(offered).parse_args(arguments[:1] or ["--help"])
        return 0
    command: Any = import_module(f"{__package__}.commands.{name}")
    if name in _RUNS:
        return command.run(arguments[1:]) or 0
    parser = Parser(prog=f"nnlqp-nas {name}", description=offered[name], epilog=command.EXAMPLES)
    command.add_arguments(parser)
    code: int = command.run(parser.parse_args(arguments[1:]))
    return code


def _parser(offered: dict[str, str]) -> Parser:
    from importlib.metadata import version

    lines = [f"  {name:<10} {does}" for name, does in offered.items()]
    parser = Parser(
        prog="nnlqp-nas",
        description="How long does this network take on that platform?",
        epilog="\n".join(["commands:", *lines, "", "nnlqp-nas COMMAND --help tells more, with examples."]),
        usage="nnlqp-nas COMMAND ...",
    )
    parser.add_argument("command", metavar="COMMAND", choices=list(offered), help="see below")
    parser.add_argument("--version", action="version", version=f"nnlqp-nas {version('nnlqp-nas')}")
    return parser


def _say(message: object, code: int) -> int:
    sys.stderr.write(f"nnlqp-nas: {' '.join(str(message).split())}\n")
    return code
