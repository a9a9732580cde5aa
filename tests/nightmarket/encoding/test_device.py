"""What is asked for works on every CPU; oneDNN can be held to the instructions of an older one."""

import os
import subprocess
import sys

import pytest

ASK = """
from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.models import PACKAGED
import torch
from nightmarket.encoding.device import choose_dtype

cpu = torch.device("cpu")
exact, rounded = (Encoder.load(PACKAGED, name).encode(["whole milk", "rye bread"]) for name in ("float32", "bfloat16"))
alone = Encoder.load(PACKAGED, "float32").encode(["rye bread"])
print(choose_dtype("auto", cpu), (exact * rounded).sum(axis=1).min() > 0.999, (exact != rounded).any())
print((alone == exact[1:]).all())
"""


@pytest.mark.slow
def test_bfloat16_works_and_auto_is_float32_where_the_cpu_has_no_avx512():
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["torch.float32", "True", "True", "True"], done.stderr[-1000:]
