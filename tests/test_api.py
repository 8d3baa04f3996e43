"""The Python surface: spaces, predictors, oracles and platforms by name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import nnlqp_nas
from nnlqp_nas.checkpoints import checkpoint_names, find_checkpoint, own_folder, predicted_platforms
from nnlqp_nas.core import (
    CheckpointError,
    InvalidSettingError,
    Measurement,
    MeasurementFailure,
    Platform,
    Source,
    UnknownNameError,
    UnknownPlatformError,
    UnsupportedError,
)
from nnlqp_nas.database import open_database
from nnlqp_nas.graphs import to_onnx
from nnlqp_nas.platform_status import describe_platforms
from nnlqp_nas.platforms import aliases, registered_platforms
from nnlqp_nas.testing import ConstantPredictor, InstantBackend
from nnlqp_nas.testing.oracle_contract import write_networks

INSTANT = Platform.parse("cpu-instant-fp32")
T4 = Platform.parse("gpu-T4-trt7.1-fp32")
PREDICTOR = ConstantPredictor({INSTANT: 2.0, T4: 3.0})


@pytest.fixture
def checkpoint(tmp_path: Path, example_plugins: Path) -> Path:
    PREDICTOR.save(tmp_path / "constant.safetensors")
    return tmp_path / "constant.safetensors"


def sources(answers: list[Measurement | MeasurementFailure]) -> list[str | None]:
    return [str(answer.source) if isinstance(answer, Measurement) else None for answer in answers]


# spaces


def test_a_space_by_name_and_setting() -> None:
    assert nnlqp_nas.load_space("nasbench201").name == "nasbench201"
    assert nnlqp_nas.load_space("nasbench201", n_classes=100).n_classes == 100  # type: ignore[attr-defined]


def test_an_unknown_space_or_setting_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="nasbench201"):
        nnlqp_nas.load_space("nasbench")
    with pytest.raises(InvalidSettingError, match="n_classes"):
        nnlqp_nas.load_space("nasbench201", classes=100)


# predictors


def test_a_predictor_from_its_file(checkpoint: Path) -> None:
    predictor = nnlqp_nas.load_predictor(str(checkpoint))
    assert predictor.platforms == (INSTANT, T4)
    assert predicted_platforms(checkpoint) == (INSTANT, T4)


def test_a_predictor_kept_by_name(checkpoint: Path) -> None:
    own_folder().mkdir(parents=True)
    checkpoint.rename(own_folder() / "mine.safetensors")
    assert "mine" in checkpoint_names()
    assert nnlqp_nas.load_predictor("mine").platforms == (INSTANT, T4)


def test_platforms_stated_in_the_header_are_not_loaded_for(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    metadata = {"format": "nnlqp-nas-predictor", "predictor": "nobody", "platforms": json.dumps([str(T4)])}
    save_file({"x": np.zeros(1)}, tmp_path / "a.safetensors", metadata=metadata)
    assert predicted_platforms(tmp_path / "a.safetensors") == (T4,)


def test_a_name_nobody_has_is_refused(example_plugins: Path) -> None:
    with pytest.raises(UnknownNameError, match="predictor 'nothing'"):
        nnlqp_nas.load_predictor("nothing")


def _truncated(content: bytes) -> bytes:
    return content[:-3]


def _extended(content: bytes) -> bytes:
    return content + b"more"


def _header_only(content: bytes) -> bytes:
    return content[:20]


def _huge_header(content: bytes) -> bytes:
    return (1 << 62).to_bytes(8, "little") + content[8:]


def _noise(content: bytes) -> bytes:
    return os.urandom(len(content))


def _empty(_: bytes) -> bytes:
    return b""


def _text(_: bytes) -> bytes:
    return b"hello, this is a text"


def _deep_json(_: bytes) -> bytes:
    text = b"[" * 100_000
    return len(text).to_bytes(8, "little") + text


def _list_header(_: bytes) -> bytes:
    text = b'[{"__metadata__": 1}]'
    return len(text).to_bytes(8, "little") + text


def _other_format(content: bytes) -> bytes:
    return content.replace(b"nnlqp-nas-predictor", b"someone-else-format")


@pytest.mark.parametrize(
    "damage",
    [_truncated, _extended, _header_only, _huge_header, _noise, _empty, _text, _deep_json, _list_header, _other_format],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(damage, checkpoint: Path) -> None:  # type: ignore[no-untyped-def]
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.raises(CheckpointError, match=r"expected .*, got|it is truncated") as caught:
        nnlqp_nas.load_predictor(str(checkpoint))
    assert "\n" not in str(caught.value)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    with pytest.raises(CheckpointError, match="safetensors"):
        nnlqp_nas.load_predictor(str(tmp_path / "model.pth"))


@pytest.mark.parametrize("name", ["none.safetensors", "some/where", "."])
def test_a_path_where_no_file_is(name: str) -> None:
    with pytest.raises(CheckpointError, match="no file"):
        find_checkpoint(name)


def test_a_predictor_nobody_registered_is_named(checkpoint: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b'"constant"', b'"konstant"'))
    with pytest.raises(UnknownNameError, match="constant"):
        nnlqp_nas.load_predictor(str(checkpoint))


# platforms


def test_the_registry_holds_the_platforms_of_nnlqp() -> None:
    names = set(map(str, registered_platforms()))
    demo = {"cpu-openppl-fp32", "hi3559A-nnie11-int8", "gpu-T4-trt7.1-fp32", "gpu-T4-trt7.1-int8", "gpu-P4-trt7.1-fp32"}
    demo |= {"gpu-P4-trt7.1-int8", "hi3519A-nnie12-int8", "atlas300-acl-fp16", "mul270-neuware-int8", "gpu-gtx1660-trt7.1-fp32"}
    assert demo | {"hexagonDSP-snpe-int8", "Xilinx-Ultra96-VitisAI-int8"} <= names
    assert {facts.kind for facts in registered_platforms().values()} >= {"CPU", "GPU", "NPU", "DSP", "FPGA"}


def test_no_alias_hides_a_platform() -> None:
    assert not {str(platform).lower() for platform in registered_platforms()} & set(aliases())


@pytest.mark.parametrize("text", ["t4", "T4", "gpu-T4-trt7.1-fp32", "GPU-t4-TRT7.1-FP32"])
def test_a_platform_has_short_names_and_any_case(text: str) -> None:
    assert nnlqp_nas.resolve_platform(text) == T4


def test_platforms_of_backends_predictors_and_rows_are_known(example_plugins: Path, tmp_path: Path) -> None:
    known = Platform.parse("robot-brain-int4")
    assert nnlqp_nas.resolve_platform("cpu-instant-fp32") == INSTANT
    assert nnlqp_nas.resolve_platform("robot-brain-int4", ConstantPredictor({known: 1.0})) == known
    database = open_database(tmp_path / "latency.sqlite")
    from nnlqp_nas.testing.database_contract import measured

    database.add([measured(platform=known)])
    assert nnlqp_nas.resolve_platform("robot-brain-int4", database=database) == known
    assert known in nnlqp_nas.known_platforms(database=database)
    database.close()


@pytest.mark.parametrize("text", ["cpu-onnxruntim-fp32", "nowhere-x-fp32", "", "🙂", "a" * 5000])
def test_an_unknown_platform_is_refused_with_near_names(text: str) -> None:
    with pytest.raises(UnknownPlatformError, match="nearest known: "):
        nnlqp_nas.resolve_platform(text)


def test_every_platform_is_measurable_or_says_why_not(example_plugins: Path, tmp_path: Path) -> None:
    database = open_database(tmp_path / "latency.sqlite")
    database.add(InstantBackend().measure(write_networks(3)))
    states = {state.platform: state for state in describe_platforms(PREDICTOR, database)}
    database.close()
    assert all(state.is_measurable == (state.reason is None) for state in states.values())
    assert (states[INSTANT].is_measurable, states[INSTANT].is_predictable, states[INSTANT].n_rows) == (True, True, 3)
    assert (states[T4].is_measurable, states[T4].is_predictable, states[T4].n_rows) == (False, True, 0)
    assert str(states[T4].reason).startswith("needs TensorRT-7.1 and a Tesla-T4, which are not here; ")
    without_sdk = {str(platform): str(states[platform].reason) for platform in registered_platforms()}
    assert "OpenPPL and an Intel-Xeon-Gold-6246" in without_sdk["cpu-openppl-fp32"]
    assert all("a checkpoint that knows it predicts it, a device of a farm measures it" in reason for reason in without_sdk.values())


# oracles


def test_by_default_the_predictor_answers_what_the_database_does_not_know(example_plugins: Path, tmp_path: Path) -> None:
    graphs = write_networks(4)
    database = open_database(tmp_path / "latency.sqlite")
    database.add(InstantBackend().measure(graphs[:1]))
    oracle = nnlqp_nas.load_oracle("cpu-instant-fp32", database=database, predictor=PREDICTOR)
    assert sources(oracle.query(graphs)) == ["database", "predicted", "predicted", "predicted"]
    assert oracle.spent.device_s == 0
    database.close()


def test_what_the_predictor_does_not_know_is_measured(example_plugins: Path) -> None:
    oracle = nnlqp_nas.load_oracle("cpu-instant-fp32", predictor=ConstantPredictor({T4: 1.0}))
    assert sources(oracle.query(write_networks(2))) == ["measured"] * 2
    assert sources(oracle.query(write_networks(3))) == ["database", "database", "measured"]


def test_the_policies(example_plugins: Path, tmp_path: Path) -> None:
    graphs = write_networks(1)

    def first(policy: str, name: str) -> list[str | None]:
        return sources(nnlqp_nas.load_oracle(INSTANT, policy, tmp_path / f"{name}.sqlite", PREDICTOR).query(graphs))  # type: ignore[arg-type]

    assert [first("predict", "a"), first("auto", "a")] == [["predicted"], ["predicted"]]
    assert [first("measure", "b"), first("truth", "c")] == [["measured"], ["measured"]]
    assert [first(policy, "c") for policy in ("auto", "predict", "measure", "truth")] == [["database"]] * 4


def test_truth_falls_back_on_prediction(example_plugins: Path) -> None:
    (answer,) = nnlqp_nas.load_oracle("t4", "truth", predictor=PREDICTOR).query(write_networks(1))
    assert isinstance(answer, Measurement)
    assert answer.source is Source.PREDICTED


def test_a_platform_without_any_source_is_refused_with_the_reasons(example_plugins: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"does not know hexagon.*no backend measures"):
        nnlqp_nas.load_oracle("hexagonDSP-snpe-int8", predictor=PREDICTOR)
    with pytest.raises(UnsupportedError, match="no backend measures"):
        nnlqp_nas.load_oracle("t4", "measure")


def test_rows_alone_are_a_source(example_plugins: Path, tmp_path: Path) -> None:
    from nnlqp_nas.testing.database_contract import measured

    known, unknown = write_networks(2)
    database = open_database(tmp_path / "latency.sqlite")
    database.add([measured(known.key, platform=T4)])
    answers = nnlqp_nas.load_oracle("t4", "measure", database).query([known, unknown])
    assert sources(answers) == ["database", None]
    database.close()


def test_only_this_machines_rows_count_for_what_it_can_measure(example_plugins: Path, tmp_path: Path) -> None:
    from nnlqp_nas.testing.database_contract import measured

    graphs = write_networks(1)
    database = open_database(tmp_path / "latency.sqlite")
    database.add([measured(graphs[0].key, platform=INSTANT, host="a faster machine")])
    assert sources(nnlqp_nas.load_oracle(INSTANT, "predict", database, PREDICTOR).query(graphs)) == ["predicted"]
    database.close()


def test_architectures_files_and_models_are_welcome(example_plugins: Path, tmp_path: Path) -> None:
    space = nnlqp_nas.load_space("nasbench201")
    architecture = space.sample(np.random.default_rng(0))
    model = to_onnx(space.graph(architecture))
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    oracle = nnlqp_nas.load_oracle("cpu-instant-fp32", predictor=PREDICTOR)
    answers = oracle.query([architecture, str(tmp_path / "model.onnx"), model, model.SerializeToString(), space.graph(architecture)])
    assert {answer.graph_key for answer in answers} == {space.graph(architecture).key}


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(InvalidSettingError, match="truth"):
        nnlqp_nas.load_oracle("t4", "guess")  # type: ignore[arg-type]


def test_every_name_of_the_surface_is_there() -> None:
    assert all(hasattr(nnlqp_nas, name) for name in nnlqp_nas.__all__)
    assert set(nnlqp_nas.__all__) <= set(dir(nnlqp_nas))
    with pytest.raises(AttributeError, match="nothing"):
        nnlqp_nas.nothing  # noqa: B018


def test_a_checkpoint_written_again_is_loaded_again(checkpoint: Path) -> None:
    first = nnlqp_nas.load_predictor(str(checkpoint))
    assert nnlqp_nas.load_predictor(str(checkpoint)) is first
    ConstantPredictor({T4: 1.0}).save(checkpoint)
    assert nnlqp_nas.load_predictor(str(checkpoint)).platforms == (T4,)
