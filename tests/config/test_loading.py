"""From text to a checked configuration: how numbers are written, what changes do, and what is left out."""

import pytest

from sam_sde.config.errors import ConfigError
from sam_sde.config.loading import check_config, load_config

MINIMAL = """
surface: {name: beale}
noise: {kind: none}
optimizer: {lr: 0.01}
arms: {SAM: {kind: sam, rho: 0.1}, SGD: {kind: sgd}}
escape: {start: [0, 1], region: {kind: ball, centre: [0, 1], radius: 0.5}, t_max: 10}
"""


@pytest.fixture
def load(tmp_path):
    def load(text=MINIMAL, *changes):
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        return load_config(tmp_path / "config.yaml", changes)

    return load


def test_what_a_minimal_configuration_leaves_out_has_defaults(load):
    config = load()
    assert config.run.model_dump() == {
        "n_paths": 20_000,
        "dt": None,
        "seed": 0,
        "method": "auto",
        "engine": "auto",
        "device": "auto",
        "dtype": "float32",
        "crossing": "bridge",
        "common_noise": False,
        "block_size": None,
        "ends": None,
        "relative_error": None,
        "accuracy": None,
        "check_dt": "auto",
        "task_timeout": None,
    }
    assert config.optimizer.model_dump() == {
        "lr": 0.01,
        "batch_size": 1,
        "momentum": 0.0,
        "momentum_model": "underdamped",
        "initial_velocity": "zero",
        "nesterov": False,
        "weight_decay": 0.0,
        "lr_schedule": None,
        "drift_order": 1,
        "sde": "usual",
    }
    assert config.reference is None
    assert (config.arms["SAM"].ascent, config.arms["SAM"].drift) == ("full", "stop_gradient")
    assert (config.arms["SAM"].lr, config.arms["SAM"].batch_size) == (None, None)


def test_arms_keep_their_order(load):
    assert list(load().arms) == ["SAM", "SGD"]


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1e-3", 1e-3),
        ("1E-3", 1e-3),
        ("1.5e-3", 1.5e-3),
        ("1.e-3", 1e-3),
        (".5e-3", 5e-4),
        ("1e+1", 10.0),
        ("2e0", 2.0),
        ("0.001", 1e-3),
        ("3", 3.0),
        ("1_000e-3", 1.0),
    ],
)
def test_numbers_may_be_written_in_any_usual_way(written, number, load):
    assert load(MINIMAL.replace("lr: 0.01", f"lr: {written}")).optimizer.lr == number


def test_a_negative_number_may_have_an_exponent(load):
    assert load(MINIMAL.replace("[0, 1]", "[-1e-3, +2E1]")).escape.start == [-1e-3, 20.0]


@pytest.mark.parametrize("written", ["100000", "1e5", "1.0e5", "1E+5", "100_000"])
def test_a_whole_number_may_have_an_exponent(written, load):
    n_paths = load(MINIMAL, f"run.n_paths={written}").run.n_paths
    assert n_paths == 100_000
    assert isinstance(n_paths, int)


@pytest.mark.parametrize("written", ["e5", "1e", "1e5x", "x1e5", "1-e5", "'1e5'"])
def test_what_is_no_number_stays_a_word(written, load):
    with pytest.raises(ConfigError, match=r"^run\.n_paths: expected a whole number, got '"):
        load(MINIMAL, f"run.n_paths={written}")


def test_a_change_wins_over_the_file_and_the_last_change_over_the_others(load):
    config = load(MINIMAL, "optimizer.lr=0.5", "escape.t_max=3", "optimizer.lr=0.25")
    assert (config.optimizer.lr, config.escape.t_max) == (0.25, 3.0)


def test_a_change_may_make_a_section_and_keeps_its_other_defaults(load):
    config = load(MINIMAL, "run.n_paths=7", " run.seed =3")
    assert (config.run.n_paths, config.run.seed, config.run.method) == (7, 3, "auto")


def test_a_change_may_set_a_whole_section(load):
    config = load(MINIMAL, "noise={kind: isotropic, sigma: 2}", "escape.start=[0.1, 1]", "reference=SGD")
    assert (config.noise.sigma, config.escape.start, config.reference) == (2.0, [0.1, 1.0], "SGD")


def test_a_change_may_add_an_arm_and_reach_into_one(load):
    config = load(
        MINIMAL, "arms.USAM.kind=usam", "arms.USAM.rho=0.5", "arms.SAM.rho=0.2", "arms.DN={kind: dnsam, rho: 1}"
    )
    assert {name: getattr(arm, "rho", None) for name, arm in config.arms.items()} == {
        "SAM": 0.2,
        "SGD": None,
        "USAM": 0.5,
        "DN": 1.0,
    }


def test_a_value_may_hold_an_equals_sign(load):
    assert load(MINIMAL, "arms={SAM ρ=0.1: {kind: sgd}}").arms.keys() == {"SAM ρ=0.1"}


DOTTED = MINIMAL.replace(
    "SAM: {kind: sam, rho: 0.1}", "'SAM 0.1': {kind: sam, rho: 0.1}, SAM ρ=0.2: {kind: sam, rho: 0.2}"
)


@pytest.mark.parametrize(
    ("change", "arm"),
    [
        ('arms."SAM 0.1".rho=7', "SAM 0.1"),
        ("arms.'SAM 0.1'.rho=7", "SAM 0.1"),
        (' arms . "SAM 0.1" . rho = 7', "SAM 0.1"),
        ('"arms"."SAM 0.1"."rho"=7', "SAM 0.1"),
        ('arms."SAM 0.1"={kind: sam, rho: 7}', "SAM 0.1"),
        ('arms."SAM ρ=0.2".rho=7', "SAM ρ=0.2"),
        ('arms."new 1.5".kind=sam', "new 1.5"),
    ],
)
def test_a_name_with_a_dot_is_written_in_quotes(change, arm, load):
    config = load(DOTTED, change, *[f'arms."{arm}".rho=7'] * ("kind" in change))
    assert {name: section.rho for name, section in config.arms.items() if name != "SGD"} == {
        "SAM 0.1": 0.1,
        "SAM ρ=0.2": 0.2,
        arm: 7.0,
    }


@pytest.mark.parametrize("change", ["arms.SAM 0.1.rho=7", "arms.SAM ρ=0.2.rho=7", "arms.SAM 0.1={kind: sgd}"])
def test_without_quotes_the_error_shows_them(change, load):
    arm = "SAM ρ=0.2" if "ρ" in change else "SAM 0.1"
    with pytest.raises(ConfigError) as caught:
        load(DOTTED, change)
    assert str(caught.value) == f'--set {change}: write the name of this arm in quotes, as arms."{arm}".KEY=VALUE'


@pytest.mark.parametrize(
    "change", ['arms."SAM 0.1.rho=7', "arms..rho=7", "=7", "arms.=7", "rho", 'arms."".rho=7', 'arms."a"b.rho=7', ""]
)
def test_what_is_no_key_and_value_is_refused(change, load):
    with pytest.raises(ConfigError, match=r"^--set: expected KEY=VALUE such as run\.n_paths=1000, got "):
        load(MINIMAL, change)


def test_a_change_of_one_arm_changes_no_other_that_has_its_section_by_an_alias(load):
    text = MINIMAL.replace("SGD: {kind: sgd}", "SGD: &sgd {kind: sgd, lr: 0.5}, A: *sgd, B: {<<: *sgd, lr: 0.25}")
    config = load(text, "arms.SGD.lr=2")
    assert [config.arms[arm].lr for arm in ("SGD", "A", "B")] == [2.0, 0.5, 0.25]


@pytest.mark.parametrize(("written", "got"), [("no", "false"), ("on", "true"), ("12", "12")])
def test_text_that_yaml_takes_for_something_else_is_told_of_quotes(written, got, load):
    with pytest.raises(ConfigError, match=f"^reference: expected text, got {got}; write it in quotes if it is text$"):
        load(MINIMAL, f"reference={written}")


def test_null_is_the_same_as_leaving_out(load):
    assert load(MINIMAL, "run.dt=null", "reference=null", "arms.SAM.lr=null") == load()


def test_aliases_and_a_byte_order_mark_are_read(load):
    text = MINIMAL.replace("start: [0, 1]", "start: &saddle [0, 1]").replace("centre: [0, 1]", "centre: *saddle")
    assert load("\ufeff" + text) == load()


@pytest.mark.parametrize("word", ["no", "on", "true", "1", "1e5", "null", "007", "1:30"])
def test_a_name_that_yaml_takes_for_something_else_needs_quotes(word, load):
    with pytest.raises(
        ConfigError, match=r"^arms: expected a name for each arm, in quotes|or in quotes if it is text$"
    ):
        load(MINIMAL.replace("SGD:", f"{word}:"))
    assert word in load(MINIMAL.replace("SGD:", f"'{word}':")).arms


def test_a_configuration_cannot_be_changed_afterwards(load):
    config = load()
    with pytest.raises(ValueError, match="frozen"):
        config.run.seed = 3


def test_what_a_configuration_says_of_itself_is_the_same_configuration(load):
    config = load(MINIMAL, "surface={name: rosenbrock, b: 7}", "noise={kind: hessian}", "arms.SAM.lr=0.1")
    assert check_config(config.model_dump()) == config
    assert config.model_dump()["surface"]["b"] == 7
