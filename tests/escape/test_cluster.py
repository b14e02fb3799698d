"""A cluster that is not there is named within seconds."""

import pytest

from sam_sde.errors import ArgumentError
from sam_sde.escape.cluster import cluster

distributed = pytest.importorskip("distributed")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://127.0.0.1:9", "nothing answers at tcp://127.0.0.1:9 .*; start it with `dask scheduler"),
        ("nonsense://x", "unknown address scheme 'nonsense'"),
    ],
)
def test_a_scheduler_that_does_not_answer_is_an_error(address, message, monkeypatch):
    monkeypatch.setattr("sam_sde.escape.cluster.SECONDS_TO_ANSWER", 0.5)
    with pytest.raises(ArgumentError, match=message), cluster(address):
        pass


def test_a_scheduler_without_workers_is_an_error(monkeypatch):
    monkeypatch.setattr("sam_sde.escape.cluster.SECONDS_FOR_WORKERS", 0.5)
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
        ) as empty,
        pytest.raises(ArgumentError, match=r"has no workers; start some with `dask worker tcp://127.0.0.1:"),
        cluster(empty.scheduler_address),
    ):
        pass
