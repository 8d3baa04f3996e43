"""What converters and inference engines do to a network before they run it."""

from __future__ import annotations

from dataclasses import replace

from ..core import GraphView, ModelGraph
from .layer_builder import LayerBuilder


def optimised(graph: ModelGraph) -> ModelGraph:
    """Return the network as an inference engine runs it.

    Identities, what is multiplied by zero, and all that only dead branches feed are gone; batch
    normalisation is folded into the convolution it reads, where nothing else reads that one.
    ``optimised(optimised(graph)) == optimised(graph)``.
    """
    return viewed(graph, GraphView.OPTIMISED)


def viewed(graph: ModelGraph, view: GraphView) -> ModelGraph:
    """Return a network that is given as written in the view that a platform executes."""
    if view is GraphView.AS_WRITTEN:
        return graph
    n_readers = [0] * len(graph)
    for sources in graph.sources:
        for source in sources:
            n_readers[source] += 1
    for node in graph.outputs:
        n_readers[node] += 1
    net = LayerBuilder(view)
    values: list[int] = []
    for operator, sources in zip(graph.operators, graph.sources, strict=True):
        folds = not sources or n_readers[sources[0]] == 1
        values.append(net.append(operator, *[values[source] for source in sources], folds=folds))
    return replace(net.finish(*dict.fromkeys(values[node] for node in graph.outputs)), reread=graph.reread)
