"""Importing is cheap, and help needs no torch."""

import subprocess
import sys

import pytest


def seconds(code: str) -> float:
    """Run code that prints seconds in a fresh interpreter; the fastest of five runs counts."""
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    return min(float(run.stdout.split()[-1]) for run in runs)


def test_importing_the_package_takes_less_than_50_ms():
    code = "import time; t = time.perf_counter(); import unweave; print(time.perf_counter() - t)"
    assert seconds(code) < 0.05


@pytest.mark.parametrize("module", ["torch", "numpy", "soundfile", "rich"])
def test_importing_the_package_imports_nothing_heavy(module):
    code = f"import sys, unweave; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_takes_less_than_half_a_second_and_no_torch():
    code = (
        "import time, sys, contextlib, io; t = time.perf_counter()\n"
        "from unweave.cli import main\n"
        "sys.argv = ['unweave', '--help']\n"
        "try:\n"
        "    with contextlib.redirect_stdout(io.StringIO()): main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules\n"
        "print(time.perf_counter() - t)"
    )
    assert seconds(code) < 0.5


@pytest.mark.parametrize(
    "part", ["transforms", "filtering", "decomposition", "codec", "separation"]
)
def test_no_part_imports_a_compiler_before_one_is_needed(part):
    code = (
        f"import sys, unweave.{part} as part\n"
        "for name in part.__all__: getattr(part, name)\n"
        "sys.exit(bool({'torch._dynamo', 'numba', 'sympy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_loading_the_shipped_model_imports_no_compiler():
    code = (
        "import sys, unweave.models as models\n"
        "models.load_model(models.DEFAULT_MODEL)\n"
        "sys.exit(bool({'torch._dynamo', 'sympy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
