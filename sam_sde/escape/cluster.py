"""A running Dask cluster as an executor."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from sam_sde.errors import ArgumentError

SECONDS_TO_ANSWER = 10.0


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """The executor of the scheduler at `address`, such as tcp://127.0.0.1:8786.

    A worker that is lost is Dask's to replace: its blocks go to another one.

    Raises
        ArgumentError: Dask is not installed, or nothing answers there within ten seconds.
    """
    try:
        from distributed import Client
    except ImportError:
        message = "needs Dask; try `pip install 'sam_sde[cluster]'`"
        raise ArgumentError("--scheduler", message) from None
    try:
        client = Client(address, timeout=SECONDS_TO_ANSWER, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ArgumentError(
            "--scheduler", f"nothing answers at {address} ({error}); start it with `dask scheduler --host 127.0.0.1`"
        ) from None
    with client:
        # Equal blocks are not one task to Dask, for they tell of their progress by number.
        yield client.get_executor(pure=False)
