"""Settings: each has help, bounds are enforced, and all errors are reported at once."""

import dataclasses
import json
import math
import types
import typing
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.data import DataConfig
from nmt.config.model import ModelConfig
from nmt.config.schema import Condition, from_dict, rename_keys, settings, to_dict
from nmt.config.settings import RENAMED, Config
from nmt.config.validation import check
from nmt.errors import ConfigError

LEAVES = settings(Config())
STEP = 1e-3  # past a bound
NEEDED = {
    "tsv": ["path"], "dictionary": ["path"], "gettext": ["path"], "moses": ["source_path", "target_path"],
}  # fmt: skip


def with_value(key: str, value: Any) -> Config:
    """The defaults except for one setting and those that it needs to have an effect."""
    config = Config()
    if key == "data.alignment_column":
        config.data = DataConfig(source="tsv", path="pairs.tsv", source_column=2, target_column=3)
    if key == "training.teacher_forcing_decay":
        config.training.teacher_forcing = 0.5
    *groups, name = key.split(".")
    group: Any = config
    for section in groups:
        group = getattr(group, section)
    assert hasattr(group, name), key
    setattr(group, name, value)
    return config


def refused(config: Config) -> list[str]:
    """The errors reported by `check`, one entry each."""
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert "\n" not in str(caught.value)
    return str(caught.value).split("; ")


# ---------------------------------------------------------------- the schema


def test_every_setting_has_help_and_a_plain_type() -> None:
    assert len(LEAVES) > 50
    assert len({key for key, _, _ in LEAVES}) == len(LEAVES)
    for key, item, value in LEAVES:
        assert item.metadata.get("help"), f"{key} has no help"
        assert value is None or type(value) in (str, int, float, bool, list), f"{key}: no plain value"


def test_the_defaults_are_possible_and_match_their_types() -> None:
    check(Config())
    assert from_dict(Config, to_dict(Config()), "config") == Config()


def test_leaves_are_dotted_and_in_the_order_of_definition() -> None:
    keys = [key for key, _, _ in LEAVES]
    assert keys[:2] == ["name", "runs"]
    assert keys.index("data.source") < keys.index("data.tokenizer.kind") < keys.index("model.encoder.cell")
    assert settings(DataConfig(swap=True), "data.")[0][0] == "data.source"
    values = {key: value for key, _, value in settings(with_value("data.tokenizer.joint", True))}
    assert values["data.tokenizer.joint"] is True


# ---------------------------------------------------------------- bounds and choices

BOUNDS = [
    (key, relation, limit) for key, item, _ in LEAVES for relation, limit in item.metadata["bounds"].items()
]
CHOICES = [
    (key, item.metadata["choices"], item.metadata["used_if"] or {})
    for key, item, _ in LEAVES
    if item.metadata["choices"]
]


@pytest.mark.parametrize(("key", "relation", "limit"), BOUNDS)
def test_every_bound_is_kept(key: str, relation: str, limit: float) -> None:
    outside = {"at least": limit - STEP, "above": limit, "at most": limit + STEP, "below": limit}[relation]
    assert refused(with_value(key, outside))[0] == f"{key}={outside}: must be {relation} {limit:g}"
    if relation.startswith("at "):
        check(with_value(key, int(limit) if limit == int(limit) else limit))
    assert any(f"must be {relation}" in fault for fault in refused(with_value(key, math.nan)))


@pytest.mark.parametrize(("key", "choices", "used_if"), CHOICES)
def test_every_choice_is_kept(key: str, choices: tuple[str, ...], used_if: Condition) -> None:
    assert refused(with_value(key, "nonsense"))[0] == f"{key}=nonsense: choose one of {', '.join(choices)}"
    for choice in choices:
        config = with_value(key, choice)
        for other, allowed in used_if.items():
            section, _, name = other.partition(".")
            setattr(getattr(config, section), name, allowed[0])
        for name in NEEDED.get(config.data.source, []):
            setattr(config.data, name, "file")
        for name in NEEDED.get(config.pretraining.kind or "", []):
            setattr(config.pretraining, name.replace("source_", ""), "file")
        if config.pretraining.kind == "manythings":  # another corpus than that of the run
            config.pretraining.language = "fra"
        check(config)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", -1),
        ("threads", 0),
        ("data.dev_fraction", 0.0),
        ("data.test_fraction", 0.5),
        ("data.source_column", 0),
        ("training.dropout", 1.0),
        ("training.dropout", -0.1),
        ("training.epochs", 0),
        ("training.learning_rate", 0.0),
        ("training.label_smoothing", 1.0),
        ("training.final_lr_ratio", 1.1),
        ("training.accumulate", 0),
        ("training.max_skipped", 0),
        ("training.save_every", 0),
        ("training.keep", 0),
        ("decoding.beam_size", 0),
    ],
)
def test_the_bounds_that_matter_are_there(key: str, value: float) -> None:
    """Written out, so that a bound cannot disappear from the schema unnoticed."""
    assert refused(with_value(key, value))[0].startswith(f"{key}={value}: must be ")


@pytest.mark.parametrize("key", [key for key, item, _ in LEAVES if "None" in str(item.type)])
def test_what_is_optional_may_be_nothing(key: str) -> None:
    check(with_value(key, None))


def test_all_faults_are_reported_at_once() -> None:
    config = with_value("training.epochs", 0)
    config.model.bridge = "rope"
    config.data.source, config.data.source_path = "moses", "file"
    config.model.encoder.size = 511
    assert [fault.split(":")[0] for fault in refused(config)] == [
        "model.bridge=rope",
        "training.epochs=0",
        "data.target_path",
        "add data.target_path=FILE",
        "model.encoder.size=511",
    ]


# ---------------------------------------------------------------- conflicts


@pytest.mark.parametrize(("source", "needed"), NEEDED.items())
def test_a_corpus_of_your_own_needs_its_files(source: str, needed: list[str]) -> None:
    faults = refused(with_value("data.source", source))
    assert faults == [
        message
        for name in needed
        for message in (f"data.{name}: data={source} needs it", f"add data.{name}=FILE")
    ]


@pytest.mark.parametrize(
    ("source", "key", "owner"),
    [
        ("manythings", "path", "dictionary or gettext or tsv"),
        ("sample", "archive", "manythings"),
        ("tsv", "source_path", "moses"),
    ],
)
def test_a_file_that_would_not_be_read_is_refused(source: str, key: str, owner: str) -> None:
    config = with_value("data.source", source)
    config.data.path = "file" if source == "tsv" else None
    setattr(config.data, key, "file")
    assert refused(config) == [
        f"data.{key}=file: has no effect with data={source}, only with data={owner}",
        "leave it out",
    ]


@pytest.mark.parametrize("source", ["manythings", "tsv", "moses"])
def test_guiding_needs_alignments(source: str) -> None:
    config = Config()
    config.data.source, config.training.guided_alignment = source, 0.5
    if source == "tsv":
        config.data.path = "pairs.tsv"
    if source == "moses":
        config.data.source_path, config.data.target_path = "src", "tgt"
    assert "training.guided_alignment=0.5" in refused(config)[0]
    if source == "tsv":
        config.data.alignment_column = 3
    if source == "moses":
        config.data.alignment_path = "links"
    if source == "manythings":
        config.data.source = "sample"
    check(config)
    config.model.decoder.style = "vector"
    assert "has no attention to guide" in refused(config)[0]


def test_a_url_beside_a_local_archive_is_refused() -> None:
    config = Config(data=DataConfig(archive="mar-eng.zip"))
    check(config, {"data.archive"})
    config.data.url = "https://example.org/{language}.zip"
    assert refused(config) == [
        "data.url=https://example.org/{language}.zip: has no effect with data.archive=mar-eng.zip, only with "
        "data.archive=null",
        "leave it out",
    ]


def test_settings_of_an_existing_run_may_have_no_effect() -> None:
    """A rule that is newer than the run must not keep it from being resumed."""
    config = Config(data=DataConfig(archive="mar-eng.zip", url="https://example.org/{language}.zip"))
    check(config, {"training.epochs"}, stored=True)
    with pytest.raises(ConfigError, match=r"^data\.url=.*: has no effect with data\.archive=mar-eng\.zip"):
        check(config, {"data.url"}, stored=True)
    config.training.epochs = 0
    with pytest.raises(ConfigError, match=r"^training\.epochs=0: must be at least 1$"):
        check(config, stored=True)


def test_source_and_target_column_differ() -> None:
    data = DataConfig(source="tsv", path="file", source_column=2)
    assert refused(Config(data=data)) == ["data.target_column=2: the same as data.source_column"]
    check(Config(data=dataclasses.replace(data, target_column=1)))


def test_something_is_left_to_train_on() -> None:
    check(Config(data=DataConfig(dev_fraction=0.25, test_fraction=0.25)))
    (fault, _) = refused(Config(data=DataConfig(dev_fraction=0.25, test_fraction=0.26)))
    assert fault == "data.dev_fraction + data.test_fraction: more than half"


def test_an_odd_size_cannot_be_halved() -> None:
    config = with_value("model.encoder.size", 511)
    assert refused(config) == ["model.encoder.size=511: must be even when model.encoder.bidirectional=true"]
    config.model.encoder.bidirectional = False
    check(config)


def test_the_dot_score_needs_equal_sizes() -> None:
    config = with_value("model.attention.score", "dot")
    check(config)
    config.model.decoder.size = 100
    (fault,) = refused(config)
    assert fault.startswith("model.attention.score=dot: needs model.encoder.size and model.decoder.size")
    assert fault.endswith("not 512 and 100")


def test_hard_attention_is_not_guided() -> None:
    config = Config()
    config.data.source, config.training.guided_alignment = "sample", 0.5
    check(config)
    config.model.attention.scope = "hard"
    fault, *_ = refused(config)
    assert fault.startswith("training.guided_alignment=0.5: model.attention.scope=hard")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"encoder.type": "self_attention", "encoder.heads": 7},
            ["model.encoder.heads", "model.encoder.size"],
        ),
        ({"encoder.type": "self_attention", "encoder.heads": 1, "encoder.size": 33}, ["model.encoder.size"]),
        ({"encoder.type": "convolutional", "encoder.kernel": 4}, ["model.encoder.kernel"]),
        ({"decoder.style": "transformer", "decoder.heads": 7}, ["model.decoder.heads", "model.decoder.size"]),
        ({"decoder.style": "transformer", "decoder.heads": 1, "decoder.size": 33}, ["model.decoder.size"]),
        ({"decoder.style": "transformer", "attention.scope": "hard"}, ["model.attention.scope"]),
        ({"decoder.style": "transformer", "bridge": "mean"}, ["model.bridge"]),
        ({"bridge": "backward", "encoder.bidirectional": False}, ["model.encoder.bidirectional"]),
        ({"bridge": "backward", "encoder.type": "convolutional"}, ["model.bridge", "model.encoder.type"]),
        ({"bridge": "copy", "encoder.type": "self_attention"}, ["model.bridge", "model.encoder.type"]),
        ({"bridge": "copy", "encoder.layers": 2}, ["model.encoder.layers", "model.decoder.layers"]),
        ({"bridge": "copy", "decoder.size": 100}, ["model.encoder.size", "model.decoder.size"]),
        ({"bridge": "copy", "decoder.cell": "lstm"}, ["model.encoder.cell", "model.decoder.cell"]),
        (
            {
                "encoder.type": "self_attention",
                "decoder.style": "transformer",
                "initialisation": "orthogonal",
            },
            ["model.initialisation"],
        ),
        ({"decoder.style": "vector", "attention.score": "dot"}, ["model.attention.score"]),
        ({"decoder.style": "vector", "attention.coverage": True}, ["model.attention.coverage"]),
        ({"decoder.lexical": True, "decoder.style": "vector"}, ["model.decoder.lexical"]),
        ({"attention.heads": 3}, ["model.attention.heads", "model.encoder.size", "model.attention.size"]),
        (
            {"attention.heads": 4, "attention.score": "general", "decoder.size": 514},
            ["model.attention.heads", "model.decoder.size"],
        ),
        ({"attention.score": "location", "attention.coverage": True}, ["model.attention.coverage"]),
        (
            {"attention.score": "location", "attention.positions": 100, "encoder.type": "self_attention"},
            ["model.attention.positions", "model.encoder.positions"],
        ),
        (
            {"attention.score": "location", "attention.positions": 100, "encoder.type": "convolutional"},
            ["model.attention.positions", "model.encoder.positions"],
        ),
    ],
)
def test_models_that_make_no_sense(changes: dict[str, Any], named: list[str]) -> None:
    """Each is rejected, naming the keys at fault; without the last change it is accepted."""
    config = Config()
    for key, value in changes.items():
        check(config)
        section, _, name = key.rpartition(".")
        setattr(getattr(config.model, section) if section else config.model, name, value)
    complaint = " ".join(refused(config))
    assert all(key in complaint for key in named)


def test_heads_divide_only_what_is_read() -> None:
    """The location score uses neither the attention size nor the decoder size."""
    config = Config()
    config.model.attention.score, config.model.attention.heads = "location", 4
    config.model.attention.size = config.model.decoder.size = 501
    check(config)


def test_exponential_decay_never_reaches_zero() -> None:
    config = Config()
    config.training.teacher_forcing = 0.0
    check(config)
    config.training.teacher_forcing_decay = "exponential"
    assert "training.teacher_forcing" in refused(config)[0]


def test_rdrop_needs_dropout_and_teacher_forcing() -> None:
    config = with_value("training.rdrop", 2.5)
    check(config)
    config.training.teacher_forcing = 0.9
    assert len(refused(config)) == 1
    assert refused(config)[0].startswith("training.rdrop=2.5: cannot be combined with scheduled sampling")
    config.training.teacher_forcing = 1.0
    config.training.dropout = config.training.embedding_dropout = 0.0
    assert refused(config)[0] == "training.rdrop=2.5: has no effect without dropout"
    config.training.word_dropout = 0.1
    check(config)


# ---------------------------------------------------------------- to and from plain data


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of the type of a setting."""
    if dataclasses.is_dataclass(kind):
        return configs(typing.cast(type[Any], kind))
    if typing.get_origin(kind) is list:
        return st.lists(of_type(typing.get_args(kind)[0]))
    if isinstance(kind, types.UnionType):
        return st.one_of([of_type(option) for option in typing.get_args(kind)])
    simple = {str: st.text(), int: st.integers(), bool: st.booleans(), types.NoneType: st.none()}
    return simple[kind] if kind in simple else st.floats(allow_nan=False)


def configs(kind: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{name: of_type(hint) for name, hint in typing.get_type_hints(kind).items()})


@hypothesis.settings(deadline=None)
@given(configs(Config))
def test_any_config_comes_back_through_json(config: Config) -> None:
    assert from_dict(Config, json.loads(json.dumps(to_dict(config))), "config") == config


def test_missing_settings_take_their_defaults() -> None:
    assert from_dict(Config, {"training": {"dropout": 0}}, "config") == with_value("training.dropout", 0)
    assert from_dict(Config, {}, "config") == Config()


def test_plain_data_is_a_copy() -> None:
    config = Config()
    to_dict(config)["training"]["dropout"] = 0.9
    assert config == Config()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modle": {}}, "config.modle: no such setting"),
        ({"model": {"encoder": {"sise": 1}}}, "config.model.encoder.sise: no such setting"),
        ({"seed": "1"}, "config.seed='1': wrong type str"),
        ({"seed": True}, "config.seed=True: wrong type bool"),
        ({"seed": 1.0}, "config.seed=1.0: wrong type float"),
        ({"seed": None}, "config.seed=None: wrong type NoneType"),
        ({"threads": False}, "config.threads=False: wrong type bool"),
        ({"name": 3}, "config.name=3: wrong type int"),
        ({"training": {"dropout": True}}, "config.training.dropout=True: wrong type bool"),
        ({"training": {"dropout": "0.1"}}, "config.training.dropout='0.1': wrong type str"),
        ({"data": {"swap": 1}}, "config.data.swap=1: wrong type int"),
        ({"data": {"cache": ["a"]}}, "config.data.cache=['a']: wrong type list"),
        ({"model": 3}, "config.model: expected a mapping, found int"),
        ({"model": None}, "config.model: expected a mapping, found NoneType"),
        ([], "config: expected a mapping, found list"),
        ({1: 2}, "config.1: no such setting"),
    ],
)
def test_unknown_data_is_refused(values: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_dict(Config, values, "config")
    assert str(caught.value) == message


def test_only_the_asked_kind_is_built() -> None:
    assert from_dict(ModelConfig, {"bridge": "mean"}, "model.json") == ModelConfig(bridge="mean")
    with pytest.raises(ConfigError, match=r"^model\.json\.seed: no such setting"):
        from_dict(ModelConfig, {"seed": 1}, "model.json")


# ---------------------------------------------------------------- renamed keys


def test_every_renamed_key_leads_to_a_setting() -> None:
    keys = {key for key, _, _ in settings(Config())}
    assert set(RENAMED.values()) <= keys
    assert not set(RENAMED) & keys


def test_old_keys_are_read_under_their_new_names() -> None:
    old = {"model": {"dropout": 0.25, "rate_factor": 0.5, "bridge": "mean"}, "training": {"epochs": 3}}
    config = from_dict(Config, rename_keys(old, RENAMED), "config")
    assert (config.training.dropout, config.training.lr_multiplier, config.training.epochs) == (0.25, 0.5, 3)
    assert config.model.bridge == "mean"
    assert old["model"]["dropout"] == 0.25  # unchanged


def test_the_new_key_takes_precedence() -> None:
    both = {"model": {"dropout": 0.25}, "training": {"dropout": 0.1}}
    assert rename_keys(both, RENAMED) == {"model": {}, "training": {"dropout": 0.1}}


@pytest.mark.parametrize("values", [{}, {"model": None}, {"model": 3, "training": 4}])
def test_corrupt_settings_are_left_to_the_reader(values: dict[str, Any]) -> None:
    assert rename_keys(values, RENAMED) == values


# ---------------------------------------------------------------- settings without effect

CONDITIONS = [
    (key, name, condition)
    for key, item, _ in LEAVES
    for name in ("used_if", "unused_if", "required_if")
    if (condition := item.metadata[name]) is not None
]


def test_every_condition_can_hold() -> None:
    """They use existing keys and values."""
    leaves = {key: (item, value) for key, item, value in LEAVES}
    for key, _, condition in CONDITIONS:
        for other, allowed in condition.items():
            item, value = leaves[other]
            assert other != key
            for one in allowed:
                assert one is None or type(one) is type(value) or value is None
                assert not item.metadata["choices"] or one in item.metadata["choices"]


@pytest.mark.parametrize(
    ("changes", "typed"),
    [
        ({"decoder.style": "transformer"}, "decoder.cell"),
        ({"decoder.style": "transformer"}, "decoder.readout"),
        ({"decoder.style": "transformer"}, "decoder.input_feeding"),
        ({}, "decoder.input_feeding"),  # of bahdanau
        ({}, "encoder.kernel"),  # of a recurrent encoder
        ({}, "encoder.positions"),
        ({"encoder.type": "convolutional"}, "encoder.bidirectional"),
        ({}, "attention.window"),  # of global attention
        ({"attention.score": "general"}, "attention.size"),
        ({"decoder.style": "vector"}, "attention.size"),
        ({}, "encoder.reverse"),  # of a bidirectional encoder
        ({}, "decoder.bias"),  # of bahdanau
        ({"decoder.style": "luong"}, "decoder.readout_state"),
        ({"initialisation": "xavier"}, "initial_range"),
    ],
)
def test_a_typed_setting_without_effect_is_refused(changes: dict[str, Any], typed: str) -> None:
    """Whatever its value; numbers from files, which set sizes for all kinds of models, may be unused."""
    config = Config()
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        setattr(getattr(config.model, section) if section else config.model, name, value)
    check(config)
    with pytest.raises(ConfigError, match=rf"^model\.{typed}=\w+\S*: has no effect with model\."):
        check(config, {f"model.{typed}"})
    *groups, name = f"model.{typed}".split(".")
    group: Any = config
    for section in groups:
        group = getattr(group, section)
    if type(getattr(group, name)) in (int, float):
        setattr(group, name, 7)
        check(config)


def test_a_typed_setting_with_effect_is_accepted() -> None:
    config = with_value("model.attention.scope", "local_p")
    check(config, {"model.attention.window", "model.attention.size", "model.decoder.readout"})


def test_a_choice_without_effect_is_refused_wherever_it_comes_from() -> None:
    config = with_value("model.encoder.cell", "lstm")
    check(config)
    config.model.encoder.type = "convolutional"
    assert refused(config) == [
        "model.encoder.cell=lstm: has no effect with model.encoder.type=convolutional, only with "
        "model.encoder.type=recurrent",
        "leave it out",
    ]
