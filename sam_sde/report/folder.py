"""report.html of a folder of results."""

from pathlib import Path

from sam_sde.errors import InputError
from sam_sde.files import write_text
from sam_sde.jobs.record import RECORDS
from sam_sde.jobs.results import settle
from sam_sde.jobs.tables import REPORTS

NEEDED = ("jinja2", "plotly")


def write_report(folder: Path) -> Path:
    """Writes report.html into a folder that `sam-sde escape` or `sam-sde sweep` has written; returns the file.

    Raises
        InputError: there is no whole result, a table is not what the record says, jinja2 or plotly is not installed,
            or the file cannot be written.
    """
    try:
        from sam_sde.report.escape import escape_page
        from sam_sde.report.page import render
        from sam_sde.report.sweep_page import sweep_page
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in NEEDED:
            raise
        raise InputError(
            f'a report needs {package}, which is not installed; try pip install "sam_sde[report]"'
        ) from None
    settle(folder)
    command, page_of = ("sweep", sweep_page) if (folder / RECORDS["sweep"]).exists() else ("escape", escape_page)
    path = folder / REPORTS[command]
    write_text(render(page_of(folder)), path)
    return path
