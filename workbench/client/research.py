"""Studies, adapters, data, backtests, sweeps, runs, jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from workbench.client.noun import Noun, Number, Values
from workbench.client.transport import Document, GatewayError, StudyLike, quoted, study
from workbench.core.errors import Cancelled


class Studies(Noun):
    """Studies: checked, stored, compared."""

    def list(self) -> Iterator[str]:
        """Yield the names of the stored studies."""
        return self._transport.pages("/studies", "studies")

    def schema(self) -> Document:
        """Return the JSON Schema of a study."""
        return self._get("/studies/schema")

    def validate(
        self, of: StudyLike, *, over: Values | None = None, params: Values | None = None
    ) -> Document:
        """Return whether a study can run: ``valid``, ``errors`` with path and line."""
        return self._post("/studies/validate", {"study": study(of, over, params)})

    def store(
        self, of: StudyLike, *, over: Values | None = None, params: Values | None = None
    ) -> Document:
        """Store a study; return its ``name`` and ``version``."""
        return self._post("/studies", {"study": study(of, over, params)})

    def get(self, name: str, version: int | None = None) -> Document:
        """Return a stored study."""
        return self._get(f"/studies/{quoted(name)}", version=version)

    def history(self, name: str) -> Iterator[Document]:
        """Yield the versions of a stored study, newest first."""
        return self._transport.pages(f"/studies/{quoted(name)}/history", "versions")

    def diff(self, name: str, old: int, new: int | None = None) -> Sequence[Document]:
        """Return what changed from one version to another."""
        found: Sequence[Document] = self._get(f"/studies/{quoted(name)}/diff", old=old, new=new)[
            "changes"
        ]
        return found

    def restore(self, name: str, version: int) -> Document:
        """Store an old version as the newest."""
        path = f"/studies/{quoted(name)}/restore"
        return self._call("POST", path, query={"version": version})


class Adapters(Noun):
    """NautilusTrader's adapters."""

    def list(self) -> Iterator[Document]:
        """Yield the adapters."""
        return self._transport.pages("/adapters", "adapters")

    def show(self, name: str) -> Document:
        """Return an adapter with its fields."""
        return self._get(f"/adapters/{quoted(name)}")

    def check(
        self,
        name: str,
        *,
        environment: str = "live",
        settings: Values | None = None,
        timeout: float = 20.0,
    ) -> Document:
        """Connect to an adapter's venue; return what worked, step by step."""
        content = {"environment": environment, "settings": settings or {}, "timeout": timeout}
        return self._post(f"/adapters/{quoted(name)}/check", content, timeout=timeout + 10)


class Data(Noun):
    """The data of studies, and the catalog."""

    def plan(
        self,
        of: StudyLike,
        *,
        over: Values | None = None,
        params: Values | None = None,
        replace: bool = False,
        max_cost: Number | None = None,
    ) -> Document:
        """Return what a study's data would take."""
        content = {"study": study(of, over, params), "replace": replace, "max_cost": max_cost}
        return self._post("/data/plan", content)

    def fetch(
        self,
        of: StudyLike,
        *,
        over: Values | None = None,
        params: Values | None = None,
        replace: bool = False,
        max_cost: Number | None = None,
    ) -> Document:
        """Fetch what a study's data lack; return the job."""
        content = {"study": study(of, over, params), "replace": replace, "max_cost": max_cost}
        return self._post("/data/fetch", content, once=True)

    def list(self) -> Iterator[Document]:
        """Yield what the catalog holds."""
        return self._transport.pages("/data", "datasets")


class Backtests(Noun):
    """Backtests."""

    def run(
        self,
        of: StudyLike,
        *,
        over: Values | None = None,
        params: Values | None = None,
        notebook: str | None = None,
    ) -> Document:
        """Start a backtest; return the job."""
        content = {"study": study(of, over, params), "notebook": notebook}
        return self._post("/backtests", content, once=True)


class Sweeps(Noun):
    """Sweeps."""

    def run(
        self,
        of: StudyLike,
        *,
        over: Values | None = None,
        params: Values | None = None,
        notebook: str | None = None,
        processes: int | None = None,
    ) -> Document:
        """Start a sweep; return the job."""
        content = {"study": study(of, over, params), "notebook": notebook, "processes": processes}
        return self._post("/sweeps", content, once=True)

    def resume(self, sweep_id: str, *, processes: int | None = None) -> Document:
        """Run what is missing of a sweep; return the job."""
        return self._post("/sweeps", {"resume": sweep_id, "processes": processes}, once=True)

    def results(self, sweep_id: str = "latest", *, statistic: str = "sharpe") -> Document:
        """Return a sweep and the first of its runs.

        ``words`` is what it says of `statistic`, ``importance`` the share each parameter explains.
        """
        return self._get(f"/sweeps/{quoted(sweep_id)}", limit=500, statistic=statistic)

    def cancel(self, sweep_id: str = "latest") -> Document:
        """Cancel a sweep, whichever process runs it; `resume` goes on from there."""
        return self._post(f"/sweeps/{quoted(sweep_id)}/cancel", {}, timeout=60)


class Runs(Noun):
    """Recorded runs."""

    def list(
        self, *, status: str | None = None, study: str | None = None, sweep: str | None = None
    ) -> Iterator[Document]:
        """Yield runs, newest first."""
        query = {"status": status, "study": study, "sweep": sweep}
        return self._transport.pages("/runs", "runs", query)

    def show(self, run_id: str = "latest") -> Document:
        """Return everything about a run but its tables."""
        return self._get(f"/runs/{quoted(run_id)}")

    def table(self, run_id: str, name: str) -> Iterator[Document]:
        """Yield the rows of ``orders``, ``fills``, ``positions`` or ``equity``."""
        path = f"/runs/{quoted(run_id)}/tables/{quoted(name)}"
        return self._transport.pages(path, "rows", {"limit": 500}, cursor="offset")

    def compare(self, *run_ids: str) -> Document:
        """Return what differs between runs."""
        return self._get("/runs/compare", run_id=run_ids)

    def report(self, run_id: str, path: Path | str) -> Path:
        """Write a run's report to a file; return its path."""
        target = Path(path)
        text = self._transport.call("GET", f"/runs/{quoted(run_id)}/report", timeout=120)
        target.write_text(str(text))
        return target

    def cancel(self, run_id: str) -> Document:
        """Cancel a run, whichever process started it."""
        return self._post(f"/runs/{quoted(run_id)}/cancel", {})


class Jobs(Noun):
    """Long work: fetches, backtests, sweeps."""

    def list(self) -> Iterator[Document]:
        """Yield the gateway's jobs, newest first."""
        return self._transport.pages("/jobs", "jobs")

    def get(self, job_id: str) -> Document:
        """Return a job as it is now."""
        return self._get(f"/jobs/{quoted(job_id)}")

    def cancel(self, job_id: str) -> Document:
        """Ask a job to stop."""
        return self._post(f"/jobs/{quoted(job_id)}/cancel", {})

    def wait(self, job_id: str, *, timeout: float | None = None, every: float = 0.2) -> Document:
        """Wait for a job's end and return it.

        Raises
        ------
        GatewayError
            If it failed, or has not ended within `timeout` seconds.
        Cancelled
            If it was cancelled.

        """
        late = None if timeout is None else time.monotonic() + timeout
        while (job := self.get(job_id))["status"] in ("running", "cancelling"):
            if late is not None and time.monotonic() > late:
                raise GatewayError(f"job {job_id} is {job['status']} after {timeout:g} s")
            time.sleep(every)
        if job["status"] == "failed":
            problem = job["problem"] or {}
            raise GatewayError(str(problem.get("detail")), problem.get("status"), problem)
        if job["status"] == "cancelled":
            raise Cancelled(f"job {job_id} was cancelled")
        return job
