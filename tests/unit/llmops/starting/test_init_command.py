"""What `llmops init` prints and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmops.cli.main import llmops


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from llmops.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "init", *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[4]), "PATH": ""},
    )  # fmt: skip


def test_it_says_what_it_took_each_column_for(tmp_path, rows_of):
    (tmp_path / "rows.csv").write_text(rows_of("sentiment.csv"))
    found = CliRunner().invoke(llmops, ["init", str(tmp_path / "shop"), "--data", str(tmp_path / "rows.csv")])
    assert found.exit_code == 0, found.output
    lines = [line.split("  ") for line in found.stdout.splitlines()]
    told = {line[0]: [part.strip() for part in line[1:] if part.strip()] for line in lines if len(line) > 1}
    assert told["input"] == ["Review Text (en)", "its name and its words say text (written as `review_text_en`)"]
    assert told["target"][0] == "Stars.given"
    assert told["kept"] == ["größe", "not used (written as `groe`)"]
    assert "task: label (2 labels)" in found.stdout
    assert "rows: 80 of 80 kept" in found.stdout
    assert "held-out 32 rows: at most 0.91 can be shown at 95 %" in found.stdout
    assert "licence: LicenseRef-proprietary, owner: team-shop" in found.stdout


def test_it_tells_what_it_left_out_and_redacts(tmp_path, rows_of):
    (tmp_path / "rows.jsonl").write_text(rows_of("tickets.jsonl") + '{"ticket_id": "last", "department": "login"}\n')
    found = CliRunner().invoke(llmops, ["init", str(tmp_path / "desk"), "--data", str(tmp_path / "rows.jsonl")])
    assert found.exit_code == 0, found.output
    assert "1 left out: they have no `body`" in found.stdout
    assert "personal data in `body`: marked, and redacted" in found.stdout
    assert "clusters) held out" in found.stdout
    assert "lists or objects in 120 rows" in found.stdout


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path):
    rows = '"\x1b[31mtext","label"\n' + "".join(f"some words {n},{'ab'[n % 2]}\n" for n in range(40))
    (tmp_path / "rows.csv").write_text(rows)
    found = CliRunner().invoke(llmops, ["init", str(tmp_path / "p"), "--data", str(tmp_path / "rows.csv")])
    assert found.exit_code == 0, found.output
    assert "\x1b[31mtext" not in found.stdout


def test_it_ends_with_codes_and_single_lines(tmp_path):
    (tmp_path / "rows.csv").write_text("text\nonly words here\n")
    refused = run("made", "--data", "rows.csv", folder=tmp_path)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert [line.partition(":")[0] for line in refused.stderr.splitlines()] == ["error", "help"]
    again = run(".", folder=tmp_path)
    assert again.returncode == 2
    assert "is not empty" in again.stderr


@pytest.mark.parametrize("floor", ["0", "1", "1.5", "nan"])
def test_a_floor_is_a_share(tmp_path, floor):
    refused = run("p", "--floor", floor, folder=tmp_path)
    assert refused.returncode == 2
    assert "not between 0 and 1" in refused.stderr
    assert not (tmp_path / "p").exists()


def test_a_name_is_derived_inside_the_folder_that_c_names(tmp_path):
    found = CliRunner().invoke(llmops, ["-C", str(tmp_path), "init", "here"])
    assert found.exit_code == 0, found.output
    assert (tmp_path / "here" / "llmops.yaml").is_file()


def test_the_rail_leaves_headroom_is_told_and_the_next_command_can_be_pasted(tmp_path):
    rows = "text,label\n" + "".join(f"{'words ' * 12}{n:03},{'ab'[n % 2]}\n" for n in range(40))  # 75 characters
    (tmp_path / "rows.csv").write_text(rows)
    folder = tmp_path / "My Project!"
    found = CliRunner().invoke(llmops, ["init", str(folder), "--data", str(tmp_path / "rows.csv")])
    assert found.exit_code == 0, found.output
    assert "input rail: questions above 300 characters" in found.stdout
    assert "characters: 300" in (folder / "rails.yaml").read_text()
    assert f"next: llmops -C '{folder}' apply --env local" in found.stdout
