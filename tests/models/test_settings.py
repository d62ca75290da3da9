"""The words of the networks."""

import inspect

import pytest

from unweave.errors import ParameterError
from unweave.models import AudioNetSimple, SpectrogramNetLSTM, SpectrogramNetSimple
from unweave.models.settings import NetSettings, RecurrentWords, word_names

WORDS = {
    "hidden_channels": 16,
    "mask_act_fn": "sigmoid",
    "leak_factor": 0,
    "dropout_p": 0.5,
    "normalize_input": False,
    "normalize_output": False,
}


@pytest.mark.parametrize(
    ("word", "value", "message"),
    [
        ("hidden_channels", 0, "hidden_channels=0 must be a positive integer"),
        ("hidden_size", 7, "hidden_size=7 must be even"),
        ("recurrent_depth", 1.5, "recurrent_depth=1.5 must be a positive integer"),
        ("leak_factor", -0.1, "leak_factor=-0.1 must be finite and at least 0"),
        ("dropout_p", 1, "dropout_p=1 must be below 1"),
        ("mask_act_fn", "Relu", "mask_act_fn='Relu' must be one of sigmoid, softmax"),
        ("input_axis", 2, "input_axis=2 must be 0"),
        ("hidden", 8, "unknown argument 'hidden': known are hidden_channels"),
    ],
)
def test_wrong_words_are_refused(word, value, message):
    with pytest.raises(ParameterError, match=message):
        SpectrogramNetLSTM(33, 20, **{word: value})


def test_networks_refuse_words_that_they_do_not_know():
    with pytest.raises(ParameterError, match="unknown argument 'input_axis'"):
        SpectrogramNetSimple(33, 20, input_axis=1)
    with pytest.raises(ParameterError, match="unknown argument 'mask_act_fn'"):
        AudioNetSimple(mask_act_fn="relu")
    with pytest.raises(ParameterError, match="num_fft_bins=0"):
        SpectrogramNetSimple(0, 20)


def test_signatures_show_auralflows_words_and_defaults():
    shown = inspect.signature(SpectrogramNetSimple).parameters
    assert list(shown) == ["num_fft_bins", "num_frames", "num_channels", *WORDS]
    assert {name: shown[name].default for name in WORDS} == WORDS
    more = inspect.signature(SpectrogramNetLSTM).parameters
    assert {*more} - {*shown} == {"recurrent_depth", "hidden_size", "input_axis"}
    assert (more["recurrent_depth"].default, more["hidden_size"].default) == (3, 1024)


def test_words_are_listed_once_in_the_order_of_the_settings():
    assert word_names(RecurrentWords) == [
        "hidden_channels",
        "leak_factor",
        "dropout_p",
        "normalize_input",
        "normalize_output",
        "recurrent_depth",
        "hidden_size",
    ]
    assert NetSettings.of(RecurrentWords, {"hidden_size": 8}).hidden_size == 8
