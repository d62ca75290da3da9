"""`unweave` itself, `unweave models` and `unweave info`."""

import json
import subprocess
import sys
import time

import pytest
import torch

import unweave
from unweave.audio import formats
from unweave.cli.separate import FORMATS
from unweave.models import list_models


def test_version(run):
    assert run("--version").out == f"unweave {unweave.__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["-h"], []])
def test_help_names_every_command(run, words):
    told = run(*words, code=0 if words else 2)
    for name in ("separate", "models", "info"):
        assert name in told.out
    assert told.err == ""


def test_help_of_separate_names_every_option(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    told = run("separate", "--help").out
    names = (
        "output save name stems two-stems residual start duration format subtype stem-mp4 model"
        " device segment overlap shifts wiener workers skip-existing overwrite json progress quiet"
        " verbose debug"
    )
    for name in names.split():
        assert f"--{name}" in told
    assert "130 Ctrl-C" in told


def test_help_is_quick_and_does_not_load_torch():
    program = (
        "import sys, time\n"
        "from unweave.cli import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
        "    print(time.process_time(), file=sys.stderr)\n"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True
    )
    assert float(done.stderr) < 1.0
    assert time.monotonic() - begun < 30
    assert "separate" in done.stdout


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["seperate"], "separate"),
        (["--versoin"], "--version"),
        (["separate"], "inputs"),
        (["models", "remove"], "list or info"),
        (["models", "list", "bandmask"], "models info"),
        (["models", "info", "bandmsk"], "did you mean 'bandmask'?"),
        (["info", "now"], "now"),
    ],
)
def test_a_command_that_is_not_understood_is_told_in_one_line(run, words, word):
    told = run(*words, code=2)
    [line] = told.complaints
    assert line.startswith("unweave: ")
    assert word in line
    assert told.out == ""


@pytest.mark.parametrize("words", [["models"], ["models", "list"]])
def test_models_lists_the_models_and_marks_the_default(run, words):
    told = run(*words).out
    for name in list_models():
        assert name in told
    assert "bandmask (default)" in told


def test_models_as_json(run):
    found = [json.loads(line) for line in run("models", "--json").out.splitlines()]
    assert [model["name"] for model in found] == list(list_models())
    assert [json.loads(run("models", "info", m["name"], "--json").out) for m in found] == found
    assert found[0]["bytes"] > 0
    assert found[0]["licence"]


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["bandmask"], "`unweave models info bandmask`"),
        (["infoo"], "`unweave models info NAME`"),
        (["list", "bandmask"], "`unweave models info bandmask`"),
    ],
)
def test_models_that_is_not_understood_is_answered_with_what_would_be(run, words, advice):
    assert advice in run("models", *words, code=2).err


@pytest.mark.parametrize(
    ("option", "begun", "expected"),
    [("--format", "fl", ["flac"]), ("--model", "", list_models()), ("--progress", "n", ["none"])],
)
def test_the_shell_completes_values(run, monkeypatch, option, begun, expected):
    monkeypatch.setenv("_UNWEAVE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"unweave separate {option} {begun}")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert run().out.split() == expected


def test_the_shell_completes_every_format():
    assert set(FORMATS) == set(formats.FORMATS)


def test_models_info_shows_a_card(run):
    told = run("models", "info", "bandmask").out
    assert "vocals" in told.lower()
    assert run("models", "info").out == told


def test_info_tells_versions_devices_and_formats(run):
    facts = json.loads(run("info", "--json").out)
    assert facts["unweave"] == unweave.__version__
    assert facts["packages"]["torch"] == torch.__version__
    assert "cpu" in facts["devices"]
    assert {"wav", "flac", "mp3", "ogg"} <= set(facts["reads"]) & set(facts["writes"])
    assert facts["cache"]
    told = run("info").out
    for word in (torch.__version__, facts["python"], facts["cache"], "stem.mp4"):
        assert word in told


def test_colours_are_for_terminals_and_can_be_switched_off(run, monkeypatch, terminal):
    def told():
        screen = terminal()
        monkeypatch.setattr(sys, "stdout", screen)
        run("models")
        return screen.getvalue()

    assert "\x1b[" not in run("models").out
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[" in told()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not any(f"\x1b[{code}m" in told() for code in range(30, 48))
