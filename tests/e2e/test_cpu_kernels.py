"""The numerical tests with the kernels of other processors, which PyTorch selects when it is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
NUMERICAL = (
    "tests/parity",
    "tests/unit/test_coverage.py",
    "tests/unit/test_ema.py",
    "tests/unit/test_format.py",
    "tests/unit/test_graphs.py",
    "tests/unit/test_initialise.py",
    "tests/unit/test_loss.py",
    "tests/unit/test_optimizer.py",
    "tests/unit/test_padding.py",
    "tests/unit/test_precision.py",
    "tests/unit/test_step.py",
    "tests/unit/test_trainer.py",
    "tests/unit/test_trainer_resume.py",
    "tests/unit/test_translator.py",
)
NOT_ITS_KERNELS = ("--ignore=tests/parity/test_exported.py",)  # those of onnxruntime
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


OLDEST, USUAL = PROCESSORS
QUICK = (
    "tests/parity/test_attention.py",
    "tests/parity/test_loops.py",
    "tests/parity/test_recurrent.py",
    "tests/unit/test_loss.py",
)
"""Those of what is written for certain instructions, or rounds differently with others."""
FINITE_DIFFERENCES = ("-k", "not gradcheck and not finite_differences")
"""Most of the time of these, in 64 bits, with tolerances far above any rounding."""


@pytest.mark.parametrize(
    ("processor", "tests"),
    [
        pytest.param(USUAL, (*QUICK, *FINITE_DIFFERENCES), id="AVX2, quick"),
        pytest.param(USUAL, NUMERICAL, id="AVX2", marks=pytest.mark.slow),
        pytest.param(OLDEST, NUMERICAL, id="SSE", marks=pytest.mark.slow),
    ],
)
def test_numbers_are_right_on_another_processor(processor: str, tests: tuple[str, ...]) -> None:
    if torch.backends.cpu.get_cpu_capability().lower() == PROCESSORS[processor]["ATEN_CPU_CAPABILITY"]:
        pytest.skip("these are the kernels of this processor: they are tested anyway")
    arguments = ("-q", "-p", "no:cacheprovider", "--durations=0", "--durations-min=9", "--tb=short")
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, *NOT_ITS_KERNELS, *tests],
        cwd=ROOT,
        env=os.environ | PROCESSORS[processor],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-5000:]
