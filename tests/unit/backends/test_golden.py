"""The files that the quickstart compiles to, kept for people to read. `LLMOPS_GOLDEN=write` makes them anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from backends.ci.backend import emit as emit_pipeline
from backends.pulumi.backend import emit as emit_program

EXAMPLE = Path(__file__).parents[3] / "examples" / "quickstart"
GOLDEN = Path(__file__).parents[2] / "golden" / "quickstart"


def test_the_quickstart_compiles_to_the_kept_files(spec):
    """Code digests and library versions are fixed here, so only the example and the back ends move a byte."""
    spec.data = {path: (EXAMPLE / path).read_bytes() for path in spec.data}
    staging, local = spec.compile(), spec.compile("local")
    program = emit_program(staging.graph, staging.lowered.standing, {"pulumi": "1.0", "pulumi-kubernetes": "1.0"})
    pipeline = emit_pipeline([staging.graph, local.graph], version="0.1.0")
    made = {f"kubernetes/{path}": data for path, data in staging.files.items()} | dict(program)
    made |= {f"ci/{path.removeprefix('.')}": data for path, data in pipeline.items()}
    if os.environ.get("LLMOPS_GOLDEN") == "write":
        shutil.rmtree(GOLDEN, ignore_errors=True)
        for path, data in made.items():
            (GOLDEN / path).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / path).write_bytes(data)
    kept = {path.relative_to(GOLDEN).as_posix(): path.read_bytes() for path in GOLDEN.rglob("*") if path.is_file()}
    assert sorted(kept) == sorted(made)
    assert [path for path in kept if kept[path] != made[path]] == []
