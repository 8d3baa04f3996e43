from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional

from nnlqp_nas.core import InvalidModelError
from nnlqp_nas.graphs import LayerBuilder


@given(size=st.integers(1, 40), kernel=st.integers(1, 7), stride=st.integers(1, 4), pad=st.integers(0, 3), ceil=st.booleans())
def test_pools_have_the_sizes_that_torch_gives_them(size: int, kernel: int, stride: int, pad: int, ceil: bool) -> None:
    assume(pad <= kernel // 2 and size + 2 * pad >= kernel)
    net = LayerBuilder()
    pooled = net.shape(net.max_pool(net.input(2, size, size), kernel, stride, pad, ceil=ceil))
    assert pooled == tuple(functional.max_pool2d(torch.zeros(1, 2, size, size), kernel, stride, pad, ceil_mode=ceil).shape)


def test_a_class_token_stands_first_and_can_be_taken() -> None:
    net = LayerBuilder()
    tokens = net.prepend_weight(net.input(9, 16))
    assert net.shape(tokens) == (1, 10, 16)
    assert net.shape(net.take(tokens, 0)) == (1, 16)
    assert net.shape(net.take(tokens, 15, axis=2)) == (1, 10)


@pytest.mark.parametrize(("index", "axis"), [(9, 1), (-1, 1), (0, 0), (0, 3)])
def test_slices_out_of_range_are_refused(index: int, axis: int) -> None:
    net = LayerBuilder()
    with pytest.raises(InvalidModelError, match="expected an index and an axis"):
        net.take(net.input(9, 16), index, axis)
