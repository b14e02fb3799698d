"""Arm by arm: a failure or an interrupt leaves the other arms as they are."""

import pytest

from sam_sde.jobs.arms import ArmByArm

ARMS = ["a", "b", "c"]


def ran(**failures):
    """A run whose arms raise what is given, the arms that began, and those that had ended whenever one ended."""
    run, begun, ended = ArmByArm(ARMS), [], []

    def one(arm):
        begun.append(arm)
        if arm in failures:
            raise failures[arm]

    run.run(one, lambda: ended.append([arm for arm in ARMS if arm not in run.unfinished]))
    return run, begun, ended


def test_without_failures_all_arms_end():
    run, begun, ended = ran()
    assert (run.unfinished, run.errors, run.interrupted) == ({}, {}, False)
    assert begun == ARMS
    assert ended == [["a"], ["a", "b"], ["a", "b", "c"]]
    run.raise_the_first()


def test_an_arm_that_fails_is_left_behind():
    error = ValueError("of\ntwo lines " + "x" * 1000)
    run, begun, ended = ran(b=error)
    assert begun == ARMS
    assert ended == [["a"], ["a", "c"]]
    assert run.errors == {"b": error}
    assert list(run.unfinished) == ["b"]
    assert run.unfinished["b"].startswith("failed with ValueError: of two lines ")
    assert len(run.unfinished["b"]) < 200
    assert not run.interrupted
    with pytest.raises(ValueError, match="two lines"):
        run.raise_the_first()


def test_an_interrupt_ends_the_run():
    run, begun, ended = ran(b=KeyboardInterrupt())
    assert begun == ["a", "b"]
    assert ended == [["a"]]
    assert run.unfinished == {"b": "interrupted on the way", "c": "interrupted before it began"}
    assert run.interrupted
    with pytest.raises(KeyboardInterrupt):
        run.raise_the_first()


def test_an_interrupt_after_an_arm_has_ended_leaves_it_ended():
    run = ArmByArm(ARMS)

    def ended():
        raise KeyboardInterrupt

    run.run(lambda arm: None, ended)
    assert run.unfinished == dict.fromkeys(["b", "c"], "interrupted before it began")
    assert run.interrupted
