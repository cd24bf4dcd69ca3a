"""The numerical tests with the kernels of other processors, which PyTorch selects when it is loaded."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NUMERICAL = (
    "tests/parity",
    "tests/unit/test_average.py",
    "tests/unit/test_coverage.py",
    "tests/unit/test_format.py",
    "tests/unit/test_initialise.py",
    "tests/unit/test_loop.py",
    "tests/unit/test_loss.py",
    "tests/unit/test_precision.py",
    "tests/unit/test_resume_loop.py",
    "tests/unit/test_translator.py",
    "tests/unit/test_update.py",
)
PROCESSORS = {
    "no vector instructions beyond SSE": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}


class Background:
    """The numerical tests for each processor, one after the other, beside the other tests."""

    def __init__(self, folder: Path) -> None:
        arguments = ("-q", "-p", "no:cacheprovider", "--durations=0", "--durations-min=9", "--tb=short")
        self._files = {name: folder / f"{number}.txt" for number, name in enumerate(PROCESSORS)}
        self._command = [sys.executable, "-m", "pytest", *arguments, *NUMERICAL]
        self._codes: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for name, variables in PROCESSORS.items():
            if self._stopped:
                return
            with self._files[name].open("wb") as file:
                self._process = subprocess.Popen(
                    self._command, cwd=ROOT, env=os.environ | variables, stdout=file, stderr=file
                )
                self._codes[name] = self._process.wait()

    def outcome(self, processor: str) -> tuple[int, str]:
        """Exit code and output, when they are there."""
        self._thread.join()
        return self._codes[processor], self._files[processor].read_text(encoding="utf-8")

    def stop(self) -> None:
        """End what still runs."""
        self._stopped = True
        if self._process is not None and self._process.poll() is None:
            self._process.kill()


@pytest.mark.parametrize("processor", PROCESSORS)
def test_numbers_are_right_on_another_processor(processor: str, kernels: Background) -> None:
    code, output = kernels.outcome(processor)
    assert code == 0, output[-5000:]
