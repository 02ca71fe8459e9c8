"""Two checkouts and one store: what one gives up, the other is told of; what one has deployed, the other leaves."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.plan import CheckData, Train
from llmops.apply.discarding import discard, undertaker
from llmops.apply.receipts import write_receipt
from llmops.apply.tombstones import write_tombstone
from llmops.apply.trust import configuration_folder, load_trust, signing_key
from llmops.cli.main import run
from llmops.errors import Exit, OperationFailed
from llmops_spec.store import load_manifest, publish
from policies.evidence.envelope import KeyPair, new_key
from tests.harness.desk import Desk


def _share(desk: Desk, folder: Path) -> None:
    desk.edit("environments/local.yaml", "\nspec:\n", f"\nspec:\n  store: {{file: {{path: {folder}}}}}\n")


@pytest.fixture
def other(desk: Desk, tmp_path: Path) -> Iterator[Desk]:
    """A second checkout of the same user. It has made what is in the store, and the first one has found it there."""
    made = Desk.of_quickstart(tmp_path / "other")
    for one in (made, desk):
        _share(one, tmp_path / "shared")
        assert one.apply().exit_code is Exit.CLEAN
        one.ran()
    yield made
    made.close()


def _cli(desk: Desk, *words: str) -> int:
    return run(["-C", str(desk.root), *words])


def _key(desk: Desk, kind: type[CheckData | Train], name: str) -> str:
    return next(one.step.key for one in desk.plan().steps if isinstance(one.step, kind) and one.step.name == name)


def _manifest(desk: Desk, key: str) -> str:
    with desk.site() as (site, _):
        found = load_manifest(site.store, key)
        assert found is not None
        return found.digest()


def _exit_code(desk: Desk) -> Exit:
    try:
        return desk.apply().exit_code
    except OperationFailed as error:
        return error.exit_code


def _bury(desk: Desk, key: str, made: str, signer: KeyPair) -> None:
    """A tombstone of that result, by whoever has access to the store."""
    with desk.site() as (site, _):
        write_tombstone(site.store, key, made, "gc", signer, site.folder)


def _discard(desk: Desk, key: str) -> None:
    """One result alone, whatever was made from it."""
    with desk.site() as (site, _):
        discard(site, "check-data/support", key, undertaker(site))


def _own_key() -> KeyPair:
    return signing_key(load_trust())


def test_what_one_checkout_discards_the_other_makes_again_and_says_why(desk: Desk, other: Desk) -> None:
    assert _cli(desk, "evidence", "discard", "evaluate/support-eval") == Exit.CLEAN

    assert other.apply().exit_code is Exit.CLEAN
    assert other.ran() == ["evaluate/support-eval"]
    assert len(other.told) == 3  # the evaluation, and the two decisions that were made from it
    assert all("was given up in the store by key" in one for one in other.told)
    assert desk.apply().exit_code is Exit.CLEAN
    assert desk.ran() == []


@pytest.mark.parametrize("signed", [True, False], ids=["signed for", "by nobody"])
def test_what_was_made_again_meanwhile_counts_if_somebody_trusted_made_it(
    desk: Desk, other: Desk, tmp_path: Path, signed: bool
) -> None:
    key = _key(desk, CheckData, "support")
    _discard(desk, key)
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / "profile.json").write_text('{"formatVersion": 1, "splits": {}, "again": true}')
    with desk.site() as (site, _):
        manifest = publish(site.store, key, outputs)
        if signed:
            write_receipt(site.store, manifest, _own_key(), site.folder)

    assert _exit_code(other) is (Exit.CLEAN if signed else Exit.TAMPERED)
    assert other.ran() == []
    assert len(other.told) == 1


def test_a_result_that_is_gone_without_a_tombstone_is_tampering(desk: Desk, other: Desk, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "shared" / _key(desk, CheckData, "support"))
    assert _exit_code(other) is Exit.TAMPERED


@pytest.mark.parametrize("forgery", ["another key", "another result", "another step", "not canonical", "no envelope"])
def test_a_tombstone_that_does_not_hold_excuses_nothing(desk: Desk, other: Desk, tmp_path: Path, forgery: str) -> None:
    key = _key(desk, CheckData, "support")
    made = _manifest(desk, key)
    signer = new_key(b"m" * 32) if forgery == "another key" else _own_key()
    buried = _key(desk, CheckData, "support-corpus") if forgery == "another step" else key
    _bury(desk, buried, "f" * 64 if forgery == "another result" else made, signer)
    path = tmp_path / "shared" / "tombstones" / buried / "1.json"
    if forgery == "another step":
        (tmp_path / "shared" / "tombstones" / key).mkdir()
        path = path.rename(tmp_path / "shared" / "tombstones" / key / "1.json")
    if forgery == "not canonical":
        path.chmod(0o644)
        path.write_bytes(b" " + path.read_bytes())
    if forgery == "no envelope":
        path.chmod(0o644)
        path.write_bytes(b"{}")
    shutil.rmtree(tmp_path / "shared" / key)

    assert _exit_code(other) is Exit.TAMPERED
    assert other.told == []


def test_a_revoked_key_buries_nothing(desk: Desk, other: Desk, tmp_path: Path) -> None:
    key = _key(desk, CheckData, "support")
    mine = new_key(b"m" * 32)
    _bury(desk, key, _manifest(desk, key), mine)
    shutil.rmtree(tmp_path / "shared" / key)
    path = configuration_folder() / "trust.json"
    trust = load_trust().with_key(mine)
    path.write_bytes(trust.model_copy(update={"revoked": [mine.keyid]}).to_bytes())
    assert _exit_code(other) is Exit.TAMPERED
    path.write_bytes(trust.to_bytes())
    assert _exit_code(other) is Exit.CLEAN


def test_a_tombstone_counts_once(desk: Desk, other: Desk, tmp_path: Path) -> None:
    """Else the tombstone of a result would excuse that of its like, made again, for ever."""
    key = _key(desk, CheckData, "support")
    made = _manifest(desk, key)
    _discard(desk, key)
    assert other.apply().exit_code is Exit.CLEAN
    assert other.ran() == ["check-data/support"]
    assert _manifest(other, key) == made  # the quick workers make the same bytes again

    shutil.rmtree(tmp_path / "shared" / key)

    assert _exit_code(other) is Exit.TAMPERED


def test_a_tombstone_that_is_copied_counts_no_second_time(desk: Desk, other: Desk, tmp_path: Path) -> None:
    key = _key(desk, CheckData, "support")
    _discard(desk, key)
    assert other.apply().exit_code is Exit.CLEAN
    folder = tmp_path / "shared" / "tombstones" / key
    for number in (2, 3):
        shutil.copy(folder / "1.json", folder / f"{number}.json")
    shutil.copy(folder / "1.json", folder / "01.json")
    shutil.rmtree(tmp_path / "shared" / key)

    assert _exit_code(other) is Exit.TAMPERED


def test_evidence_verify_knows_what_was_given_up_and_changes_nothing(desk: Desk, other: Desk) -> None:
    assert _cli(desk, "evidence", "discard", "decide/support-quality") == Exit.CLEAN
    with other.site() as (site, _):
        before = list(site.journal.entries())
    assert _cli(other, "evidence", "verify") == Exit.CLEAN
    with other.site() as (site, _):
        assert list(site.journal.entries()) == before


# --- gc


def _rate(desk: Desk, rate: str) -> None:
    head, tuning = (desk.root / "training.yaml").read_text().split("name: support-tune")
    lines = [f"    learningRate: {rate}" if "learningRate" in line else line for line in tuning.split("\n")]
    (desk.root / "training.yaml").write_text(head + "name: support-tune" + "\n".join(lines))


def test_gc_leaves_what_another_checkout_has_deployed(
    desk: Desk, other: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed = _key(other, Train, "support-tune")
    _rate(desk, "0.004")
    desk.apply()
    shutil.rmtree(desk.root / ".llmops" / "local")  # it knows of nothing that it made before
    desk.apply()
    stray = _key(desk, Train, "support-tune")
    _rate(desk, "0.006")
    desk.apply()

    assert _cli(desk, "gc", "--delete", "--keep-plans", "1") == Exit.MISUSE
    assert "`--shared`" in re.sub(r"\s+", " ", capsys.readouterr().err)
    assert _cli(desk, "gc", "--delete", "--keep-plans", "1", "--shared") == Exit.CLEAN

    with desk.site() as (site, _):
        assert load_manifest(site.store, deployed) is not None
        assert load_manifest(site.store, stray) is None
    other.ran()
    assert other.apply().exit_code is Exit.CLEAN
    assert other.ran() == []


def test_gc_takes_what_another_checkout_deployed_once_it_is_destroyed(desk: Desk, other: Desk) -> None:
    deployed = _key(other, Train, "support-tune")
    with other.site() as (site, _):
        pairs = list(site.live_pairs())
        for step in site.journal.live():
            site.journal.forget_live(step)
    assert pairs == ["support"]
    assert _cli(other, "destroy", "--env", "local") == Exit.CLEAN
    _rate(desk, "0.004")
    desk.apply()
    assert _cli(desk, "gc", "--delete", "--keep-plans", "1", "--shared") == Exit.CLEAN

    with desk.site() as (site, _):
        assert load_manifest(site.store, deployed) is None
    assert other.apply().exit_code is Exit.CLEAN  # told, and not tampered with
    assert "train/support-tune" in other.ran()


def test_a_note_that_cannot_be_read_keeps_everything(desk: Desk, other: Desk, tmp_path: Path) -> None:
    note = next((tmp_path / "shared" / "deployed").glob("*/1.json"))
    note.chmod(0o644)
    note.write_text("{")
    assert _cli(desk, "gc", "--delete", "--shared") == Exit.MISUSE


def test_a_store_of_ones_own_needs_no_key_to_forget(desk: Desk) -> None:
    desk.apply()
    shutil.rmtree(configuration_folder() / "keys")
    assert _cli(desk, "evidence", "discard", "decide/support-quality") == Exit.CLEAN
    assert not (desk.root / ".llmops" / "store" / "tombstones").exists()


def test_a_shared_store_needs_a_key_to_forget(desk: Desk, other: Desk) -> None:
    shutil.rmtree(configuration_folder() / "keys")
    assert _cli(desk, "evidence", "discard", "decide/support-quality") == Exit.MISUSE
    assert _exit_code(other) is Exit.MISUSE  # nor can it sign for anything new
