"""Options and devices."""

from dataclasses import fields

import pytest
import torch

from unweave.errors import ParameterError
from unweave.separation.devices import available_devices, resolve_device
from unweave.separation.options import OptionKeywords, SeparationOptions


def test_keywords_and_fields_are_the_same():
    annotations = {field.name: field.type for field in fields(SeparationOptions)}
    assert dict(OptionKeywords.__annotations__) == annotations


def test_unknown_options_without_a_near_name_list_all():
    with pytest.raises(ParameterError, match="unknown option 'zzz': known are segment, overlap"):
        SeparationOptions.of(zzz=1)


def test_auto_is_the_first_available_device():
    assert available_devices()[-1] == "cpu"
    assert resolve_device("auto") == torch.device(available_devices()[0])


@pytest.mark.parametrize("name", ["cpu", torch.device("cpu")])
def test_devices_that_are_there(name):
    assert resolve_device(name) == torch.device("cpu")


@pytest.mark.parametrize("name", ["", "cpu:1:2", "meta", "tpu", "cuda:99"])
def test_devices_that_are_not_there(name):
    with pytest.raises(ParameterError, match=rf"device='{name}' is not available: use auto, .*cpu"):
        resolve_device(name)
