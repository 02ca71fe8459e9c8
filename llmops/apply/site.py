"""One environment on this machine: its state folder, its store, its journal."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from compiler.pipeline import CompiledEnvironment
from compiler.plan import WORKING_TREE, BaseName
from llmops.apply.journal import Journal
from llmops.apply.servers import LivePair
from llmops.errors import OperationFailed
from llmops.io.secrets import read_secret
from llmops.workspace import Workspace
from llmops_runtime.stores import open_store
from llmops_spec.environment import Environment, EnvironmentSpec
from llmops_spec.payloads import process
from llmops_spec.secret import SecretValue
from llmops_spec.sources import Sources
from llmops_spec.store import Store


@dataclass(frozen=True, kw_only=True)
class Site:
    workspace: Workspace
    project: str
    environment: str
    spec: EnvironmentSpec
    folder: Path
    store: Store
    store_url: str
    journal: Journal
    base: BaseName = WORKING_TREE
    """What gates are taken from beside the change itself."""
    sources: Sources = field(default_factory=Sources)
    """What remote files may be fetched from."""

    @property
    def shares_store(self) -> bool:
        """Whether the store lies outside of the project, where others may use it too."""
        return not Path(unquote(self.store_url.removeprefix("file:"))).is_relative_to(self.workspace.root)

    def task_variables(self, run_name: str) -> dict[str, str]:
        """Where a task finds the store and the tracking server. None of these can change a result."""
        variables = {process.STORE: self.store_url}
        if self.spec.tracking is not None:
            mlflow = self.spec.tracking.mlflow
            variables |= {
                process.TRACKING_URI: mlflow.uri or f"sqlite:///{self.folder / 'mlflow.db'}",
                process.TRACKING_EXPERIMENT: mlflow.experiment,
                process.RUN_NAME: run_name,
            }
        return variables

    def training_secrets(self) -> dict[str, SecretValue]:
        """What a training is told that nobody else may know.

        Raises:
            OperationFailed: a secret that the spec refers to is not there.
        """
        token = self.spec.tracking.mlflow.token if self.spec.tracking is not None else None
        if token is None:
            return {}
        purpose = "the token of the tracking server"
        return {process.TRACKING_TOKEN: read_secret(token, self.workspace.root, purpose=purpose)}

    def live_pairs(self) -> dict[str, LivePair]:
        """The pairs that were rolled out here and not removed since, by service; alive or not."""
        pairs = [LivePair.model_validate(body) for step, (_, body) in self.journal.live().items() if _is_roll_out(step)]
        return {pair.service: pair for pair in pairs}


def _is_roll_out(step: str) -> bool:
    return step.startswith("roll-out/")


@contextmanager
def open_site(workspace: Workspace, compiled: CompiledEnvironment, *, base: BaseName = WORKING_TREE) -> Generator[Site]:
    """The site of a `local` environment, for as long as the block runs.

    Raises:
        OperationFailed: another target; or the journal or the store cannot be opened.
    """
    spec = compiled.graph.environment.spec
    if spec.target.local is None:
        raise OperationFailed(
            f"environment `{compiled.name}` has another target than `local`, and this version applies to that one only",
            help=f"`llmops compile --env {compiled.name}` writes what its cluster needs",
        )
    assert spec.store.file is not None  # the local target refuses any other
    folder = workspace.state_folder(compiled.name)
    store = _store_folder(workspace, spec.store.file.path)
    _refuse_store_in_state(store, workspace, [one.metadata.name for _, one in compiled.graph.of(Environment)])
    store_url = "file:" + quote(str(store))
    journal = Journal(folder / "journal.db")
    try:
        yield Site(
            workspace=workspace,
            project=compiled.graph.project.metadata.name,
            environment=compiled.name,
            spec=spec,
            folder=folder,
            store=open_store(store_url),
            store_url=store_url,
            journal=journal,
            base=base,
            sources=compiled.graph.project.spec.sources,
        )
    finally:
        journal.close()


def _store_folder(workspace: Workspace, path: str) -> Path:
    try:
        folder = (workspace.root / Path(path).expanduser()).resolve()
    except RuntimeError as error:  # `~` of a user that is not there
        raise OperationFailed(f"the store `{path}` has no place here: {error}", help=_STORE_HELP) from error
    if folder.exists() and not folder.is_dir():
        raise OperationFailed(f"the store {folder} is not a folder", help=_STORE_HELP)
    return folder


def _refuse_store_in_state(store: Path, workspace: Workspace, environments: Iterable[str]) -> None:
    """The state of an environment is a folder too, and what one of both removes must not be the other's."""
    for name in environments:
        state = workspace.state_folder(name).resolve()
        if store == state or store in state.parents or state in store.parents:
            raise OperationFailed(
                f"the store {store} and the state of environment `{name}`, {state}, lie in each other",
                help=f"rename the environment, or {_STORE_HELP}",
            )


_STORE_HELP = "name another in the environment's `store: {file: {path: …}}`"
