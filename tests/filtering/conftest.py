"""What the tests of filters share."""

import warnings

import pytest


@pytest.fixture(scope="session")
def norbert():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports names that SciPy is about to drop
        return pytest.importorskip("norbert")
