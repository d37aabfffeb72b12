"""Logging for workflow scripts: one file per job, the same lines on the terminal."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import TracebackType

from depthdial.runs.locks import hold_job_lock
from depthdial.runs.progress import show_progress

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logging(path: str | Path, level: int = logging.INFO) -> None:
    """Send log records, and the text of an error that ends the job, to ``path`` and to standard error.

    Where a person watches, the terminal has a line of progress instead, and warnings; the file has it all.
    An error that depthdial raised on purpose ends as one sentence on the terminal; its traceback is in
    the file alone. Each job has a log of its own, so the lock that keeps a job from running twice at the
    same time lies beside it.
    """
    path = Path(path)
    terminal = logging.StreamHandler(sys.stderr)
    logging.basicConfig(level=level, format=FORMAT, handlers=[terminal], force=True)
    logging.captureWarnings(True)
    hold_job_lock(path.with_name(f".{path.stem}.lock"))  # before the log is opened: it may be another's until then
    if show_progress(path):
        terminal.setLevel(logging.WARNING)
    file = logging.FileHandler(path, mode="w", encoding="utf-8")
    file.setFormatter(terminal.formatter)
    logging.getLogger().addHandler(file)

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logger = logging.getLogger("depthdial")
        record = logger.makeRecord(
            logger.name,
            logging.ERROR,
            "",
            0,
            "%s",
            (error,),
            (kind, error, trace),
        )
        file.handle(record)
        record.exc_info, record.exc_text = None, None
        terminal.handle(record)

    sys.excepthook = report
