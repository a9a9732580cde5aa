import numpy as np
import pytest

WORDS = ("whole", "milk", "rye", "bread", "green", "tea", "dark", "chocolate")


@pytest.fixture(scope="package")
def teacher(tiny_bert):
    from nightmarket.encoding.encoder import Encoder

    return Encoder.load(str(tiny_bert), "float32")


@pytest.fixture(scope="package")
def texts():
    """A few hundred distinct texts of two to six words."""
    rng = np.random.default_rng(5)
    return sorted({" ".join(rng.choice(WORDS, size)) for size in rng.integers(2, 7, 400)})


@pytest.fixture(scope="package")
def vectors(teacher, texts):
    return teacher.encode(texts)
