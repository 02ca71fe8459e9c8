"""Whatever is changed behind the product's back makes `apply` refuse with exit code 7."""

import json
import shutil
from pathlib import Path

import pytest

from compiler.plan import Decide, Evaluate, Train, step_id
from llmops.apply.discarding import discard, downstream, undertaker
from llmops.apply.judge import open_judge, open_verifier
from llmops.apply.planning import make_plan, read_plan, refuse_moved, write_plan
from llmops.apply.trust import configuration_folder
from llmops.errors import Exit, OperationFailed
from llmops_spec.digests import canonical, digest, digest_bytes
from llmops_spec.store import PinnedStore, StoreCorrupt, load_manifest
from policies.evidence.envelope import new_key, opened, seal
from tests.harness.desk import Desk


def _store(desk: Desk) -> Path:
    return desk.root / ".llmops" / "store"


def _key(desk: Desk, kind: type[Evaluate | Decide | Train], name: str) -> str:
    return next(one.step.key for one in desk.plan().steps if isinstance(one.step, kind) and one.step.name == name)


def _object(desk: Desk, key: str, output: str) -> Path:
    manifest = json.loads((_store(desk) / key / "manifest.json").read_bytes())
    return _store(desk) / key / "objects" / manifest["outputs"][output]["digest"]


def _replace(desk: Desk, key: str, output: str, data: bytes) -> None:
    """Swap an output with a manifest that fits it, as somebody with access to the store would."""
    path = _store(desk) / key / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["outputs"][output] = {"digest": digest_bytes(data), "bytes": len(data)}
    (_store(desk) / key / "objects" / digest_bytes(data)).write_bytes(data)
    path.write_text(json.dumps(manifest))


def _exit_code(desk: Desk) -> Exit:
    try:
        return desk.apply().exit_code
    except OperationFailed as error:
        return error.exit_code


def _forget_journal(desk: Desk) -> None:
    """As on another machine, which only shares the store: signatures alone protect it."""
    for path in (desk.root / ".llmops" / "local").glob("journal.db*"):
        path.unlink()


@pytest.mark.parametrize("name", ["train/support-tune", "evaluate/support-eval", "decide/support-quality"])
def test_a_deleted_result_is_refused(desk: Desk, name: str) -> None:
    desk.apply()
    kind = {"train": Train, "evaluate": Evaluate, "decide": Decide}[name.split("/", maxsplit=1)[0]]
    (_store(desk) / _key(desk, kind, name.split("/")[1]) / "manifest.json").unlink()

    assert _exit_code(desk) is Exit.TAMPERED


def test_an_edited_result_is_refused(desk: Desk) -> None:
    desk.apply()
    path = _object(desk, _key(desk, Evaluate, "support-eval"), "record.jsonl")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"score": 0.0', b'"score": 1.0'))

    assert _exit_code(desk) is Exit.TAMPERED


def test_a_result_that_is_edited_with_its_manifest_is_refused(desk: Desk) -> None:
    desk.apply()
    key = _key(desk, Evaluate, "support-eval")
    data = _object(desk, key, "record.jsonl").read_bytes()
    _replace(desk, key, "record.jsonl", data.replace(b'"score": 0.0', b'"score": 1.0'))

    assert _exit_code(desk) is Exit.TAMPERED


def test_an_edited_record_is_refused_by_its_signature_where_there_is_no_journal(desk: Desk) -> None:
    desk.apply()
    key = _key(desk, Evaluate, "support-eval")
    data = _object(desk, key, "record.jsonl").read_bytes()
    _replace(desk, key, "record.jsonl", data.replace(b'"score": 0.0', b'"score": 1.0'))
    _forget_journal(desk)

    assert _exit_code(desk) is Exit.TAMPERED


def test_a_model_that_is_swapped_after_the_gate_is_refused(desk: Desk) -> None:
    desk.apply()
    _replace(desk, _key(desk, Train, "support-tune"), "adapter/weights", b"good but another")

    assert _exit_code(desk) is Exit.TAMPERED


def test_a_swapped_model_is_refused_by_its_signature_where_there_is_no_journal(desk: Desk) -> None:
    desk.apply()
    _replace(desk, _key(desk, Train, "support-tune"), "adapter/weights", b"good but another")
    _forget_journal(desk)

    assert _exit_code(desk) is Exit.TAMPERED


def test_a_decision_that_is_signed_again_with_another_key_is_refused(desk: Desk) -> None:
    desk.apply()
    key = _key(desk, Decide, "support-quality")
    mine = new_key(b"m" * 32)
    result = seal(opened(_object(desk, key, "test-result.dsse.json").read_bytes()).payload, mine)
    statement = json.loads(opened(_object(desk, key, "summary.dsse.json").read_bytes()).payload)
    statement["predicate"]["inputAttestations"][0]["digest"]["sha256"] = digest_bytes(result)
    _replace(desk, key, "test-result.dsse.json", result)
    _replace(desk, key, "summary.dsse.json", seal(canonical(statement), mine))

    assert _exit_code(desk) is Exit.TAMPERED
    _forget_journal(desk)
    assert _exit_code(desk) is Exit.TAMPERED


def test_a_verdict_that_says_pass_over_a_record_that_does_not_is_refused(desk: Desk) -> None:
    tune = (desk.root / "training.yaml").read_text().split("name: support-tune")
    zero = "\n".join("    learningRate: 0" if "learningRate" in line else line for line in tune[1].split("\n"))
    (desk.root / "training.yaml").write_text(tune[0] + "name: support-tune" + zero.replace(": 0\n", ": 0.0\n"))
    assert _exit_code(desk) is Exit.GATE_FAILED
    key = _key(desk, Decide, "support-quality")
    verdict = _object(desk, key, "verdict.json").read_bytes()
    forged = verdict.replace(b'"verdict":"fail"', b'"verdict":"pass"').replace(b'"blocks":true', b'"blocks":false')
    _replace(desk, key, "verdict.json", forged)
    _forget_journal(desk)

    assert _exit_code(desk) is Exit.TAMPERED


def test_a_discarded_result_is_made_again(desk: Desk) -> None:
    desk.apply()
    desk.ran()
    with desk.site() as (site, compilation):
        lowered = compilation.environments["local"].lowered
        assert lowered is not None
        measured = next(step for step in lowered.steps if isinstance(step, Evaluate) and "@" not in step.name)
        given_up = downstream(measured, lowered.steps)
        for step in given_up:
            discard(site, step_id(step), step.key, undertaker(site))
    assert {step_id(one) for one in given_up} == {
        "evaluate/support-eval",
        "decide/support-quality",
        "decide/support-safety",
    }

    assert desk.apply().exit_code is Exit.CLEAN
    assert desk.ran() == ["evaluate/support-eval"]


def test_a_lost_trust_file_is_not_replaced_in_silence(desk: Desk) -> None:
    desk.apply()
    (configuration_folder() / "trust.json").unlink()

    assert _exit_code(desk) is Exit.MISUSE


def test_a_saved_plan_fits_until_something_moves(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with desk.site() as (site, compilation):
        write_plan(path, make_plan(site, compilation))
    refuse_moved(read_plan(path), desk.plan())
    desk.apply()

    with pytest.raises(OperationFailed) as moved:
        refuse_moved(read_plan(path), desk.plan())
    assert moved.value.exit_code is Exit.TAMPERED


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("training.yaml", "learningRate: 0.00", "learningRate: 0.01"), ("data/heldout.jsonl", "?", " ?")],
)
def test_a_saved_plan_is_refused_after_an_edit(desk: Desk, tmp_path: Path, file: str, old: str, new: str) -> None:
    path = tmp_path / "plan.json"
    with desk.site() as (site, compilation):
        write_plan(path, make_plan(site, compilation))
    desk.edit(file, old, new)

    with pytest.raises(OperationFailed) as moved:
        refuse_moved(read_plan(path), desk.plan())
    assert moved.value.exit_code is Exit.TAMPERED
    assert "the spec or a file that it names" in moved.value.what


@pytest.mark.parametrize("resigned", [False, True], ids=["edited", "edited with its digests"])
def test_an_edited_plan_is_refused(desk: Desk, tmp_path: Path, resigned: bool) -> None:
    path = tmp_path / "plan.json"
    with desk.site() as (site, compilation):
        write_plan(path, make_plan(site, compilation))
    saved = json.loads(path.read_bytes())
    decide = next(one for one in saved["plan"]["steps"] if one["step"]["kind"] == "decide")
    decide["step"]["payload"]["spec"]["alpha"] = 0.4
    if resigned:
        saved["bytes"] = digest(saved["plan"])
    path.write_bytes(canonical(saved))

    with pytest.raises(OperationFailed) as refused:
        refuse_moved(read_plan(path), desk.plan())
    assert refused.value.exit_code is Exit.TAMPERED


def test_progress_under_the_saved_plan_is_not_movement(desk: Desk, tmp_path: Path) -> None:
    from dataclasses import replace

    from tests.unit.llmops.apply.test_kills import Killed, MortalJournal

    path = tmp_path / "plan.json"
    with desk.site() as (site, compilation):
        write_plan(path, make_plan(site, compilation))
    with pytest.raises(Killed):
        desk.apply(lambda site: replace(site, journal=MortalJournal(site.journal, 20, after=True)))

    saved = read_plan(path)
    with desk.site() as (site, compilation):
        refuse_moved(saved, make_plan(site, compilation, under=saved.digest()))


def test_a_swapped_model_without_its_decision_is_refused_where_there_is_no_journal(desk: Desk) -> None:
    """Else the next decision would be signed over a record of other weights."""
    desk.apply()
    _replace(desk, _key(desk, Train, "support-tune"), "adapter/weights", b"good but another")
    for name in ("support-quality", "support-safety"):
        shutil.rmtree(_store(desk) / _key(desk, Decide, name))
    _forget_journal(desk)

    assert _exit_code(desk) is Exit.TAMPERED


def test_results_that_are_planted_before_they_are_made_are_refused(desk: Desk, tmp_path: Path) -> None:
    """Keys are known before anything runs, so whoever can write to the store can be there first."""
    other = Desk.of_quickstart(tmp_path / "attacker")
    shared = f"\n  store: {{file: {{path: {tmp_path / 'shared'}}}}}\n"
    for one in (desk, other):
        one.edit("environments/local.yaml", "\nspec:\n", f"\nspec:{shared}")
    (tmp_path / "config").mkdir(exist_ok=True)
    other.apply()
    other.close()
    for receipts in (tmp_path / "shared").glob("*/receipts"):
        shutil.rmtree(receipts)

    assert _exit_code(desk) is Exit.TAMPERED
    assert desk.workers is None or desk.ran() == []


def test_a_result_that_is_swapped_between_verification_and_use_is_refused(desk: Desk) -> None:
    desk.apply()
    key = _key(desk, Train, "support-tune")
    with desk.site() as (site, _):
        pins = {key: json.loads(json.dumps(site.journal.results()))[key]}
        pinned = PinnedStore(site.store, pins)
        assert load_manifest(pinned, key) is not None
        _replace(desk, key, "adapter/weights", b"good but another")
        with pytest.raises(StoreCorrupt):
            load_manifest(pinned, key)


def test_evidence_is_verified_without_a_private_key(desk: Desk) -> None:
    desk.apply()
    shutil.rmtree(configuration_folder() / "keys")
    with desk.site() as (site, compilation):
        lowered = compilation.environments["local"].lowered
        assert lowered is not None
        judge = open_verifier(site)
        for step in lowered.steps:
            if isinstance(step, Decide):
                assert not judge.vouch(step).blocks
        with pytest.raises(OperationFailed):
            open_judge(site, lambda _: None)
