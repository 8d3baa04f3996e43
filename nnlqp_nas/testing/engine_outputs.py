"""What an engine computes, beside what ONNX Runtime does: for tests of backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends.isolated_backend import MODEL, IsolatedBackend
from ..core import GraphView, ModelGraph
from ..graphs import LayerBuilder, to_onnx


def write_convolutional_network(view: GraphView = GraphView.OPTIMISED) -> ModelGraph:
    """Return a small network with a squeeze-and-excitation block, hard-swish and a residual sum."""
    net = LayerBuilder(view)
    x = net.hard_swish(net.batch_norm(net.conv(net.input(3, 32, 32), 16, 3, 2)))
    y = net.hard_swish(net.batch_norm(net.conv(x, 16, 3, groups=16)))
    squeezed = net.relu(net.conv(net.global_avg_pool(y), 8, 1, bias=True))
    y = net.mul(y, net.hard_sigmoid(net.conv(squeezed, 16, 1, bias=True)))
    x = net.add(x, net.batch_norm(net.conv(y, 16, 1)))
    x = net.max_pool(net.relu6(x), 3, 2, 1)
    return net.finish(net.linear(net.flatten(net.global_avg_pool(x)), 10))


def write_transformer_block(view: GraphView = GraphView.OPTIMISED) -> ModelGraph:
    """Return patches as tokens, one block of attention with two heads, a perceptron and a linear layer."""
    net = LayerBuilder(view)
    x = net.conv(net.input(3, 32, 32), 32, 8, 8, pad=0, bias=True)
    x = net.prepend_weight(net.transpose(net.reshape(x, 32, 16), 0, 2, 1))
    y = net.layer_norm(x)
    query, key, value = (
        net.transpose(net.reshape(net.linear(y, 32), 17, 2, 16), *order) for order in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3))
    )
    mixed = net.matmul(net.softmax(net.scale(net.matmul(query, key), 0.25)), value)
    x = net.add(x, net.linear(net.reshape(net.transpose(mixed, 0, 2, 1, 3), 17, 32), 32))
    x = net.add(x, net.linear(net.gelu(net.linear(net.layer_norm(x), 64)), 32))
    return net.finish(net.linear(net.take(x, 0), 10))


def outputs_beside_onnxruntime(
    backend: IsolatedBackend, graph: ModelGraph, folder: Path, batch_size: int = 1
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the first output of an engine and that of ONNX Runtime in fp32, for the same inputs and weights.

    The engine runs in this process: variables that :meth:`IsolatedBackend.environment` names are not set.

    Args:
        backend: Says the engine and its settings; one thread is used.
        graph: The network, in the view of the platform.
        folder: An empty folder for the model.
        batch_size: Inputs per run.
    """
    import onnxruntime  # type: ignore[import-untyped]

    (folder / MODEL).write_bytes(to_onnx(graph, batch_size, 0).SerializeToString())
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((batch_size * shape[0], *shape[1:]), dtype=np.float32) for shape in graph.input_shapes]
    settings = backend.settings(1)
    if backend.compiles:
        backend.compile(folder, inputs, settings)
    model = backend.load(folder, inputs, settings)
    model.run()
    session = onnxruntime.InferenceSession(str(folder / MODEL), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    expected = session.run(None, dict(zip(names, inputs, strict=True)))[0]
    return model.outputs()[0], expected
