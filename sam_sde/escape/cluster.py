"""A running Dask cluster as an executor."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from sam_sde.errors import ArgumentError

SECONDS_TO_ANSWER = 10.0
SECONDS_FOR_WORKERS = 60.0


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """The executor of the scheduler at `address`, such as tcp://127.0.0.1:8786.

    A worker that is lost is Dask's to replace: its blocks go to another one.

    Raises
        ArgumentError: Dask is not installed, nothing answers there within ten seconds, or no worker within a minute.
    """
    try:
        from distributed import Client
        from distributed.comm.addressing import parse_address
        from distributed.comm.registry import get_backend
    except ImportError:
        message = "needs Dask; try `pip install 'sam_sde[cluster]'`"
        raise ArgumentError("--scheduler", message) from None
    try:
        get_backend(parse_address(address)[0])
        client = Client(address, timeout=SECONDS_TO_ANSWER, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ArgumentError(
            "--scheduler", f"nothing answers at {address} ({error}); start it with `dask scheduler --host 127.0.0.1`"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=SECONDS_FOR_WORKERS)
        except TimeoutError:
            message = f"{address} has no workers; start some with `dask worker {address} --nthreads 1`"
            raise ArgumentError("--scheduler", message) from None
        # Equal blocks are not one task to Dask, for they tell of their progress by number.
        yield client.get_executor(pure=False)
