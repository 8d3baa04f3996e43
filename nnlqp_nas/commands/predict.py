"""``nnlqp-nas predict``: predicted latency and interval on one, several or all predictable platforms."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..core import GraphView, LatencyPredictor, Measurement, ModelGraph, Platform, UnknownPlatformError
from .output import interval, milliseconds, print_json, print_table
from .parser import Parser, add_json, add_model, add_predictor

EXAMPLES = """examples:
  nnlqp-nas predict resnet18.onnx                                    every platform the predictor knows
  nnlqp-nas predict resnet18.onnx --platform gpu-T4-trt7.1-fp32 --platform cpu-onnxruntime-fp32
  nnlqp-nas predict resnet18.onnx --batch-size 8 --json
  nnlqp-nas predict resnet18.onnx --predictor mine.safetensors       your own checkpoint"""


def add_arguments(parser: Parser) -> None:
    """Add what the command takes."""
    add_model(parser)
    parser.add_argument(
        "--platform", action="append", default=[], metavar="P", help="may be given several times (default: all predictable)"
    )
    add_predictor(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict the model's latencies."""
    from ..graphs import read_graph, viewed
    from ..oracles.predicted import predict_measurements

    written = read_graph(arguments.model, GraphView.AS_WRITTEN)
    graphs = {view: viewed(written, view) for view in GraphView}
    predictor, platforms = _chosen(arguments)
    answers = [
        answer
        for platform in platforms
        for answer in predict_measurements(predictor, [graphs[platform.view]], platform, arguments.batch_size)
    ]
    if arguments.json:
        print_json(_document(arguments, graphs[GraphView.OPTIMISED], answers))
    else:
        _print(answers)
    return 0


def _chosen(arguments: argparse.Namespace) -> tuple[LatencyPredictor, Sequence[Platform]]:
    from ..checkpoints import default_name, load_predictor
    from ..platform_status import resolve_platform

    predictor = load_predictor(arguments.predictor or default_name())
    platforms = [resolve_platform(text, predictor) for text in arguments.platform]
    for platform in platforms:
        if platform not in predictor.platforms:
            raise UnknownPlatformError.among("predictable platform", str(platform), map(str, predictor.platforms))
    return predictor, list(dict.fromkeys(platforms)) or predictor.platforms


def _document(arguments: argparse.Namespace, graph: ModelGraph, answers: Sequence[Measurement]) -> dict[str, object]:
    predictions = [answer.to_json() for answer in answers]
    return {"model": arguments.model, "graph_key": graph.key, "batch_size": arguments.batch_size, "predictions": predictions}


def _print(answers: Sequence[Measurement]) -> None:
    share = f"{answers[0].coverage:.0%} interval" if answers and answers[0].coverage is not None else "interval"
    rows = [
        (str(answer.platform), milliseconds(answer.latency_ms), interval(answer), "extrapolating" if answer.is_extrapolating else "")
        for answer in answers
    ]
    print_table(("platform", "ms", share, ""), rows)
