"""What is kept is believed only if it is whole and of the very run; what changes a path changes its key, no more."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.config.building import Setting
from sam_sde.config.loading import check_config
from sam_sde.errors import InputError
from sam_sde.escape import Recorder, execute
from sam_sde.jobs.identity import identity_of
from sam_sde.jobs.store import Store, key_of

DOCUMENT = {
    "surface": {"name": "quadratic", "eigenvalues": [1.0, -1.0]},
    "noise": {"kind": "isotropic", "sigma": 1.0},
    "optimizer": {"lr": 0.01, "batch_size": 8},
    "arms": {"SGD": {"kind": "sgd"}, "SAM": {"kind": "sam", "rho": 0.01}},
    "escape": {"start": [0, 0], "region": {"kind": "ball", "centre": [0, 0], "radius": 0.1}, "t_max": 0.5},
    "run": {"n_paths": 50, "block_size": 20, "engine": "torchsde", "device": "cpu"},
}


def changed(**sections):
    return {key: value | sections.get(key, {}) for key, value in DOCUMENT.items()}


def keys(folder, **sections):
    """Those of SGD and SAM."""
    setting = Setting(check_config(changed(**sections)), folder)
    return [key_of(identity_of(setting, arm, run)) for arm, run in setting.runs().items()]


@pytest.fixture
def entry(tmp_path):
    """All paths of SGD, kept."""
    setting = Setting(check_config(DOCUMENT))
    run = setting.run("SGD")
    entry = Store(tmp_path).entry(identity_of(setting, "SGD", run), run)
    execute(run, kept=entry)
    return entry


def test_a_run_is_known_by_what_its_paths_follow_from(tmp_path):
    before = keys(tmp_path)
    for sections in ({"run": {"n_paths": 70}}, {"run": {"check_dt": True}}, {"run": {"ends": 5}}):
        assert keys(tmp_path, **sections) == before
    for sections in (
        {"run": {"seed": 1}},
        {"run": {"dtype": "float64"}},
        {"run": {"crossing": "shift"}},
        {"run": {"dt": 0.005}},
        {"escape": {"t_max": 0.6}},
        {"escape": {"start": [0, 0.01]}},
        {"noise": {"sigma": 2.0}},
        {"optimizer": {"lr": 0.02}},
        {"surface": {"eigenvalues": [1.0, -2.0]}},
    ):
        assert not set(keys(tmp_path, **sections)) & set(before), sections


def test_what_one_arm_says_changes_no_other(tmp_path):
    sgd, sam = keys(tmp_path)
    assert keys(tmp_path, arms={"SAM": {"kind": "sam", "rho": 0.02}})[0] == sgd
    assert keys(tmp_path, arms={"SGD": {"kind": "sgd", "momentum": 0.5}})[1] == sam


def test_a_file_that_is_named_counts_with_its_content(tmp_path):
    found = []
    for factor in (1.0, 2.0):
        (tmp_path / "loss.py").write_text(f"def saddle(w):\n    return {factor} * (w[0] ** 2 - w[1] ** 2) / 2\n")
        config = {**DOCUMENT, "surface": {"python": "loss.py:saddle", "dim": 2}}
        setting = Setting(check_config(config), tmp_path)
        found.append(key_of(identity_of(setting, "SGD", setting.run("SGD"))))
    assert found[0] != found[1]


def test_blocks_come_back_as_they_were(entry):
    result = execute(entry.run)
    again = execute(entry.run, kept=entry)
    for name in ("times", "outcome", "exit_points"):
        np.testing.assert_array_equal(getattr(result, name), getattr(again, name))
        assert getattr(result, name).dtype == getattr(again, name).dtype
    assert (again.path_steps, again.engine, again.way) == (result.path_steps, result.engine, result.way)
    assert entry.path_steps == result.path_steps


class Trap:
    def __reduce__(self):
        return pytest.fail, ("a file of the store was run",)


@pytest.mark.parametrize(
    "spoil", ["truncated", "foreign", "of words", "other paths", "fewer paths", "empty", "one byte", "pickled"]
)
def test_a_file_that_is_not_whole_or_of_something_else_is_computed_again(spoil, entry):
    whole, expected = entry.folder / "20-39.npz", execute(entry.run)
    content = whole.read_bytes()
    if spoil == "foreign":
        np.savez(whole, times=np.zeros(20))
    elif spoil == "of words":
        np.savez(whole, **{**np.load(whole), "time": np.full(20, "0.1")})
    elif spoil == "pickled":
        np.savez(whole, **{**np.load(whole), "time": np.array([Trap()] * 20)})
    elif spoil in ("other paths", "fewer paths"):
        other = {"other paths": "0-19.npz", "fewer paths": "40-49.npz"}[spoil]
        whole.write_bytes((entry.folder / other).read_bytes())
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        whole.write_bytes({"truncated": content[:-100], "empty": b"", "one byte": flipped}[spoil])
    with pytest.warns(UserWarning, match="20-39.npz cannot be used, and is computed again"):
        np.testing.assert_array_equal(execute(entry.run, kept=entry).times, expected.times)
    assert entry.get(20).time.tolist() == expected.times[20:40].tolist()


def test_paths_of_another_key_are_not_believed(entry):
    entry.key = "another"
    with pytest.warns(UserWarning, match="it holds other paths"):
        assert entry.get(0) is None


def test_more_paths_keep_what_is_there_but_for_the_last_block(tmp_path, entry):
    setting = Setting(check_config(changed(run={"n_paths": 70})))
    run = setting.run("SGD")
    more = Store(tmp_path).entry(identity_of(setting, "SGD", run), run)
    assert [more.has(first) for first in more.run.first_paths] == [True, True, False, False]
    np.testing.assert_array_equal(execute(more.run, kept=more).times, execute(run).times)


def test_blocks_stay_as_large_as_they_were_unless_they_are_much_too_small(tmp_path, entry):
    identity = identity_of(Setting(check_config(DOCUMENT)), "SGD", entry.run)
    for asked, taken in ((20, 20), (60, 20), (10, 20), (81, 81)):
        assert Store(tmp_path).entry(identity, replace(entry.run, block_size=asked)).run.block_size == taken


def test_fresh_removes_what_was_kept(tmp_path, entry):
    identity = identity_of(Setting(check_config(DOCUMENT)), "SGD", entry.run)
    fresh = Store(tmp_path).entry(identity, entry.run, fresh=True)
    assert not any(fresh.has(first) for first in fresh.run.first_paths)


def test_folders_of_others_are_let_be_and_the_store_is_listed_once(tmp_path, entry, monkeypatch):
    (entry.folder.parent / f"{entry.key}-copy").mkdir()
    (entry.folder.parent / entry.key.replace("-20", "-x")).mkdir()
    identity, listed, store = identity_of(Setting(check_config(DOCUMENT)), "SGD", entry.run), [], Store(tmp_path)
    monkeypatch.setattr(os, "listdir", lambda folder, listdir=os.listdir: listed.append(folder) or listdir(folder))
    for name in ("one", "other"):
        assert not store.holds({"name": name})
        assert store.entry({"name": name}, replace(entry.run, block_size=30)).run.block_size == 30
        assert store.entry({"name": name}, entry.run).run.block_size == 30
    assert store.holds(identity)
    assert store.entry(identity, entry.run).has(20)
    assert listed == [tmp_path / "store"]


def full(*arguments, **options):
    raise OSError(28, os.strerror(28))


@pytest.mark.parametrize("needed", [False, True])
def test_on_a_full_disk_a_run_goes_on_unless_it_needs_what_it_keeps(needed, tmp_path, monkeypatch):
    setting = Setting(check_config(DOCUMENT))
    run = setting.run("SGD")
    entry = Store(tmp_path).entry(identity_of(setting, "SGD", run), run, needed=needed)
    monkeypatch.setattr("numpy.savez", full)
    if needed:
        with pytest.raises(InputError, match=r"cannot write .*npz: No space left on device"):
            execute(run, kept=entry)
    else:
        with pytest.warns(UserWarning, match="not kept on the way: cannot write .*No space left"):
            assert len(execute(run, kept=entry)) == 50
    assert sorted(path.name for path in entry.folder.iterdir()) == ["about.json"]


def test_two_processes_refuse_each_other_and_two_shards_do_not(tmp_path):
    store = Store(tmp_path)
    with store.alone(), pytest.raises(InputError, match=r"is in use by process \d+ on .*; wait for its end"):
        store.alone().__enter__()
    with store.alone("1/2"):
        with store.alone("2/2"):
            pass
        for other in ("1/2", None):
            with pytest.raises(InputError, match="is in use by"):
                store.alone(other).__enter__()
    with store.alone():
        pass


def test_what_a_killed_process_was_writing_is_removed(tmp_path, entry):
    begun = entry.folder / ".20-39-abc.npz"
    begun.touch()
    with Store(tmp_path).alone():
        assert not begun.exists()


def test_recorded_states_come_back_as_they_were(tmp_path):
    setting = Setting(check_config(DOCUMENT))
    run = setting.run("SGD")
    entry = Store(tmp_path).entry(identity_of(setting, "SGD", run), run)
    first, second, other = Recorder([0, 3], every=7), Recorder([0, 3], every=7), Recorder([0, 3], every=5)
    result = execute(run, recorder=first, kept=entry)
    execute(run, recorder=second, kept=entry)
    end = (result.outcome[3], result.times[3], result.exit_points[3])
    one, two = (recorder.trajectory(3, run.problem.dt, *end) for recorder in (first, second))
    np.testing.assert_array_equal(one.times, two.times)
    np.testing.assert_array_equal(one.states, two.states)
    assert entry.get(0, other) is None  # so it is computed again


def test_the_store_of_a_study_and_of_an_escape_is_the_same(tmp_path):
    """A block is the same file, whichever command computed it."""
    ss.sweep({**DOCUMENT, "sweep": {"arms.SAM.rho": [0.01, 0.02]}}, tmp_path, workers=1)
    setting = Setting(check_config(DOCUMENT))
    for arm, run in setting.runs().items():
        entry = Store(tmp_path).entry(identity_of(setting, arm, run), run)
        assert torch.equal(entry.get(20).time, torch.from_numpy(execute(run).times[20:40]))
