"""The table of models."""

import subprocess
import sys

import pytest

from unweave.errors import ParameterError, WeightsError
from unweave.models import create_model, list_models, load_model, model_info, registry


def test_every_entry_is_whole():
    for name in list_models():
        info = model_info(name)
        assert info.name == name
        assert info.architecture in registry.ARCHITECTURES
        assert info.weights.is_file(), "weights are missing"
        assert info.weights.stat().st_size <= 30_000_000
        assert info.description.endswith(".")
        assert info.licence


def test_every_number_of_an_architecture_has_limits():
    import inspect

    for entry in registry.ARCHITECTURES.values():
        for parameter in inspect.signature(entry.load()).parameters.values():
            default = parameter.default
            assert default is not parameter.empty
            first = default[0] if isinstance(default, list | tuple) else default
            if isinstance(first, int | float) and not isinstance(first, bool):
                low, high = entry.limits[parameter.name]
                assert low <= first <= high


def test_listing_models_does_not_import_torch():
    code = "import sys, unweave.models as m; m.list_models(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_wildcards():
    assert list_models("no-such-*") == []
    assert registry.DEFAULT_MODEL in list_models()


def test_unknown_models_get_a_suggestion():
    with pytest.raises(ParameterError, match="did you mean 'bandmask'"):
        create_model("bandmas")
    with pytest.raises(ParameterError, match="known are bandmask"):
        load_model("qqqq")


def test_paths_are_told_from_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in (tmp_path / "x", "x.safetensors", "folder/x"):
        with pytest.raises(WeightsError, match="no such file"):
            load_model(given)
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(WeightsError, match="is damaged"):
        load_model("plain")
