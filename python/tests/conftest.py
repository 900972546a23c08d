"""What several test files use."""

import pathlib
import zipfile

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


@pytest.fixture(scope="session")
def any_time(tmp_path_factory):
    """The file of the notebook's second LSTM for any number of timesteps."""
    path = tmp_path_factory.mktemp("models") / "any_time.keras"
    with (
        zipfile.ZipFile(fixture("keras/notebook_lstm2.keras")) as source,
        zipfile.ZipFile(path, "w") as archive,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                content = content.replace(b"[null, 8, 2]", b"[null, null, 2]")
            archive.writestr(name, content)
    return path


@pytest.fixture
def lstm2(any_time):
    """It on the CPU: it returns its sequence and four states."""
    return birnn.load(any_time).compile("cpu")


@pytest.fixture
def x():
    return np.load(fixture("keras/notebook_lstm2.npz"))["input0"]
