"""What several test files use."""

import pathlib

import numpy as np
import pytest

import birnn

FIXTURES = pathlib.Path(__file__).parents[2] / "tests" / "fixtures"


def fixture(name):
    """The path of a file of tests/fixtures."""
    return FIXTURES / name


def close(found, expected, tolerance=2e-6):
    """That arrays are equal up to the rounding of float32."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.fixture
def lstm2():
    """The notebook's second LSTM, on the CPU: it returns its sequence and four states."""
    return birnn.load(fixture("keras/notebook_lstm2.keras")).compile("cpu")


@pytest.fixture
def x():
    return np.load(fixture("keras/notebook_lstm2.npz"))["input0"]
