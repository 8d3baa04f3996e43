"""Oracles of every kind: the contract, and what each adds."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nnlqp_nas.core import (
    Architecture,
    InvalidModelError,
    InvalidSettingError,
    LatencyDatabase,
    LatencyOracle,
    Measurement,
    MeasurementFailure,
    ModelGraph,
    Operator,
    Platform,
    Source,
    TimingProtocol,
    UnknownNameError,
    UnknownPlatformError,
    UnsupportedError,
)
from nnlqp_nas.database import open_database
from nnlqp_nas.graphs import LayerBuilder, to_onnx
from nnlqp_nas.oracles import CachedOracle, CascadeOracle, DeferredOracle, LoweringOracle, MeasuredOracle, PredictedOracle
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.testing import ConstantPredictor, InstantBackend
from nnlqp_nas.testing.instant_backend import PLATFORM
from nnlqp_nas.testing.oracle_contract import LatencyOracleContract, write_networks

PREDICTOR = ConstantPredictor({PLATFORM: 2.0})


class AbsentBackend(InstantBackend):
    """An engine that is not installed here."""

    def unavailable_reason(self) -> str | None:
        return "it is not installed"


class CountingBackend(InstantBackend):
    """Keeps the number of networks of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def measure(self, graphs, *arguments, **settings):  # type: ignore[no-untyped-def]
        self.calls.append(len(graphs))
        return super().measure(graphs, *arguments, **settings)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[LatencyDatabase]:
    database = open_database(tmp_path / "latency.sqlite")
    yield database
    database.close()


class TestPredicted(LatencyOracleContract):
    @pytest.fixture
    def oracle(self) -> LatencyOracle:
        return PredictedOracle(PREDICTOR, PLATFORM)


class TestMeasured(LatencyOracleContract):
    @pytest.fixture
    def oracle(self) -> LatencyOracle:
        return MeasuredOracle(InstantBackend())


class TestCachedMeasured(LatencyOracleContract):
    @pytest.fixture
    def oracle(self, database: LatencyDatabase) -> LatencyOracle:
        return CachedOracle(MeasuredOracle(InstantBackend()), database)


class TestCachedPredictedWithSomeRows(LatencyOracleContract):
    @pytest.fixture
    def oracle(self, database: LatencyDatabase) -> LatencyOracle:
        database.add(InstantBackend().measure(write_networks(2)))
        return CachedOracle(PredictedOracle(PREDICTOR, PLATFORM), database)


class TestCascade(LatencyOracleContract):
    @pytest.fixture
    def oracle(self) -> LatencyOracle:
        return CascadeOracle([MeasuredOracle(AbsentBackend()), PredictedOracle(PREDICTOR, PLATFORM)])


class TestDeferred(LatencyOracleContract):
    @pytest.fixture
    def oracle(self) -> LatencyOracle:
        return DeferredOracle(PLATFORM, lambda: MeasuredOracle(InstantBackend()))


class TestLowering(LatencyOracleContract):
    @pytest.fixture
    def oracle(self) -> LatencyOracle:
        return LoweringOracle(PredictedOracle(PREDICTOR, PLATFORM))


def impossible() -> ModelGraph:
    net = LayerBuilder()
    x = net.input(3, 8, 8)
    return net.finish(net.append(Operator("NoEngineHasThis", inputs=((1, 3, 8, 8),), output=(1, 3, 8, 8)), x))


def sources(answers: list[Measurement | MeasurementFailure]) -> list[Source | None]:
    return [answer.source if isinstance(answer, Measurement) else None for answer in answers]


# predicted


def test_a_platform_that_the_predictor_does_not_know_is_refused() -> None:
    with pytest.raises(UnknownPlatformError, match="cpu-instant-fp32"):
        PredictedOracle(PREDICTOR, Platform.parse("cpu-instan-fp32"))


def test_a_prediction_carries_its_interval() -> None:
    (answer,) = PredictedOracle(PREDICTOR, PLATFORM).query(write_networks(1), batch_size=2)
    assert isinstance(answer, Measurement)
    assert (answer.latency_ms, answer.interval_ms, answer.coverage) == (4.0, (1.0, 16.0), 0.9)


def test_graphs_only() -> None:
    with pytest.raises(InvalidSettingError, match="load_oracle"):
        PredictedOracle(PREDICTOR, PLATFORM).query(["model.onnx"])


# measured


def test_a_bad_graph_is_a_failure_among_measurements() -> None:
    good = write_networks(2)
    assert sources(MeasuredOracle(InstantBackend()).query([good[0], impossible(), good[1]])) == [Source.MEASURED, None, Source.MEASURED]


def test_the_protocol_reaches_the_backend() -> None:
    (answer,) = MeasuredOracle(InstantBackend(), TimingProtocol(min_runs=77)).query(write_networks(1))
    assert isinstance(answer, Measurement)
    assert answer.n_runs == 77


def test_what_cannot_be_measured_here_says_why() -> None:
    with pytest.raises(UnsupportedError, match="not installed"):
        MeasuredOracle(AbsentBackend()).query(write_networks(1))


# cached


def test_the_second_query_comes_from_the_database(database: LatencyDatabase) -> None:
    backend = CountingBackend()
    oracle = CachedOracle(MeasuredOracle(backend), database)
    graphs = write_networks(4)
    first = oracle.query([*graphs, *graphs])
    second = oracle.query(graphs)
    assert (sources(first[:4]), sources(second)) == ([Source.MEASURED] * 4, [Source.DATABASE] * 4)
    assert [one.latency_ms for one in second if isinstance(one, Measurement)] == [one.latency_ms for one in first[:4]]  # type: ignore[union-attr]
    assert backend.calls == [4]
    assert database.revision == 4


def test_all_misses_are_asked_at_once_and_hits_are_not(database: LatencyDatabase) -> None:
    backend = CountingBackend()
    graphs = write_networks(6)
    database.add(InstantBackend().measure(graphs[::2]))
    answers = CachedOracle(MeasuredOracle(backend), database).query(graphs)
    assert sources(answers) == [Source.DATABASE, Source.MEASURED] * 3
    assert backend.calls == [3]


def test_predictions_are_never_stored(database: LatencyDatabase) -> None:
    CachedOracle(PredictedOracle(PREDICTOR, PLATFORM), database).query(write_networks(3))
    assert database.revision == 0


def test_failures_are_stored_but_not_that_an_engine_is_absent(database: LatencyDatabase) -> None:
    CachedOracle(MeasuredOracle(AbsentBackend()), database).query(write_networks(1))
    assert database.revision == 0
    CachedOracle(MeasuredOracle(InstantBackend()), database).query([impossible()])
    assert database.revision == 1
    assert database.count_rows() == {}


def test_without_an_engine_the_database_still_answers(database: LatencyDatabase) -> None:
    graphs = write_networks(2)
    database.add(InstantBackend().measure(graphs[:1]))
    known, unknown = CachedOracle(MeasuredOracle(AbsentBackend()), database).query(graphs)
    assert isinstance(known, Measurement)
    assert isinstance(unknown, MeasurementFailure)
    assert "not installed" in unknown.reason


def test_rows_of_other_hosts_count_only_where_welcome(database: LatencyDatabase) -> None:
    graphs = write_networks(1)
    database.add(InstantBackend().measure(graphs))
    predicted = PredictedOracle(PREDICTOR, PLATFORM)
    assert sources(CachedOracle(predicted, database, host="elsewhere").query(graphs)) == [Source.PREDICTED]
    assert sources(CachedOracle(predicted, database).query(graphs)) == [Source.DATABASE]


def test_an_interrupted_measurement_keeps_what_it_had(database: LatencyDatabase) -> None:
    class Interrupted(InstantBackend):
        def measure(self, graphs, protocol=None, batch_size=1, on_result=None):  # type: ignore[no-untyped-def]
            super().measure(graphs[:2], protocol, batch_size, on_result)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CachedOracle(MeasuredOracle(Interrupted()), database).query(write_networks(5))
    assert database.revision == 2


# cascade


def test_each_failure_is_replaced_by_the_next_source() -> None:
    oracle = CascadeOracle([MeasuredOracle(InstantBackend()), PredictedOracle(PREDICTOR, PLATFORM)])
    good = write_networks(2)
    assert sources(oracle.query([good[0], impossible(), good[1]])) == [Source.MEASURED, Source.PREDICTED, Source.MEASURED]
    assert (oracle.spent.n_measured, oracle.spent.n_predicted) == (2, 1)


def test_database_then_measurement_then_prediction(database: LatencyDatabase) -> None:
    cached = CachedOracle(MeasuredOracle(InstantBackend()), database)
    oracle = CascadeOracle([cached, PredictedOracle(PREDICTOR, PLATFORM)])
    graphs = [*write_networks(1), impossible()]
    assert sources(oracle.query(graphs)) == [Source.MEASURED, Source.PREDICTED]
    assert sources(oracle.query(graphs)) == [Source.DATABASE, Source.PREDICTED]


def test_what_nobody_can_answer_is_a_failure_with_every_reason() -> None:
    seen: list[Measurement | MeasurementFailure] = []
    (answer,) = CascadeOracle([MeasuredOracle(AbsentBackend()), MeasuredOracle(InstantBackend())]).query(
        [impossible()], on_result=seen.append
    )
    assert isinstance(answer, MeasurementFailure)
    assert "not installed" in answer.reason
    assert "NoEngineHasThis" in answer.reason
    assert seen == [answer]


def test_a_cascade_is_of_one_platform() -> None:
    other = Platform.parse("gpu-T4-trt7.1-fp32")
    with pytest.raises(InvalidSettingError, match="one platform"):
        CascadeOracle([MeasuredOracle(InstantBackend()), PredictedOracle(ConstantPredictor({other: 1.0}), other)])
    with pytest.raises(InvalidSettingError, match="one platform"):
        CascadeOracle([])


# deferred


def test_what_is_not_needed_is_not_made() -> None:
    def make() -> LatencyOracle:
        raise AssertionError("made")

    oracle = CascadeOracle([MeasuredOracle(InstantBackend()), DeferredOracle(PLATFORM, make)])
    assert sources(oracle.query(write_networks(2))) == [Source.MEASURED] * 2
    assert oracle.spent.n_measured == 2


# lowering


def test_every_description_of_a_network_gets_the_same_answer(tmp_path: Path) -> None:
    space = NasBench201()
    architecture = space.sample(np.random.default_rng(3))
    graph = space.graph(architecture)
    model = to_onnx(graph)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    oracle = LoweringOracle(MeasuredOracle(InstantBackend()))
    buffer = io.BytesIO(model.SerializeToString())
    answers = oracle.query([architecture, graph, tmp_path / "model.onnx", str(tmp_path / "model.onnx"), model, buffer.getvalue()])
    assert {answer.graph_key for answer in answers} == {graph.key}
    assert oracle.spent.n_measured == 1


def test_the_platforms_view_is_taken() -> None:
    eager = Platform.parse("cpu-torch-fp32")
    space = NasBench201()
    architecture = space.architecture(*["skip_connect"] * 6)
    (answer,) = LoweringOracle(PredictedOracle(ConstantPredictor({eager: 1.0}), eager)).query([architecture])
    assert answer.graph_key == space.graph(architecture, eager.view).key != space.graph(architecture).key


def test_the_space_given_is_the_space_used() -> None:
    space = NasBench201(n_classes=100)
    architecture = space.sample(np.random.default_rng(0))
    oracle = LoweringOracle(PredictedOracle(PREDICTOR, PLATFORM), [space])
    (answer,) = oracle.query([architecture])
    assert answer.graph_key == space.graph(architecture).key != NasBench201().graph(architecture).key


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    oracle = LoweringOracle(PredictedOracle(PREDICTOR, PLATFORM))
    with pytest.raises(InvalidModelError):
        oracle.query([tmp_path / "none.onnx"])
    with pytest.raises(UnknownNameError, match="nasbench201"):
        oracle.query([Architecture("nasbench20", (0,) * 6)])
    with pytest.raises(InvalidSettingError, match="member"):
        oracle.query([Architecture("nasbench201", (9,) * 6)])
