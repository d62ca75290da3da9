"""Weights come back as they were written; anything else is refused in one line."""

import json
import pickle
import struct

import pytest
import torch
from safetensors.torch import save, save_file

from unweave.errors import ParameterError, WeightsError
from unweave.models import load_model, load_weights, save_weights
from unweave.models.bandmask import BandMaskNet
from unweave.models.weights import weights_metadata


@pytest.fixture
def path(trained, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_weights(path, trained, architecture="tiny", config={}, metadata={"licence": "CC0-1.0"})
    return path


def rewrite(path, *, tensors=None, **entries):
    """Replace parts of a good file; an entry of None is left out."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        good = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = {**file.metadata(), **{f"unweave.{key}": e for key, e in entries.items()}}
    metadata = {key: text for key, text in metadata.items() if text is not None}
    save_file({**good, **(tensors or {})}, path, metadata=metadata)


def test_a_model_comes_back_as_it_was(path, trained):
    loaded = load_weights(path)
    x = torch.randn(1, 2, 50)
    assert not loaded.training
    assert torch.equal(loaded(x), trained(x))
    assert torch.equal(load_model(path)(x), trained(x))
    assert torch.equal(load_model(str(path))(x), trained(x))


def test_the_configuration_builds_the_network(tiny, tmp_path):
    config = {"sources": ["a", "b", "c"], "width": 5, "scale": 2, "biased": False, "sizes": (3, 4)}
    net = tiny(**config).eval()
    path = tmp_path / "net.safetensors"
    save_weights(path, net, architecture="tiny", config=config)
    loaded = load_weights(path)
    assert loaded.sources == ("a", "b", "c")
    x = torch.randn(1, 2, 50)
    assert torch.equal(loaded(x), net(x))


def test_half_precision_is_stored_and_given_back_as_float32(trained, tmp_path, path):
    half = tmp_path / "half.safetensors"
    save_weights(half, trained, architecture="tiny", config={}, dtype=torch.float16)
    loaded = load_weights(half)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert loaded.norm.num_batches_tracked.dtype == torch.int64
    x = torch.randn(1, 2, 50)
    torch.testing.assert_close(loaded(x), trained(x), rtol=1e-2, atol=1e-3)


def test_no_length_of_the_header_is_taken_for_a_pickle(trained, tmp_path):
    for length in range(0, 300, 7):
        path = tmp_path / "net.safetensors"
        note = {"note": "x" * length}
        save_weights(path, trained, architecture="tiny", config={}, metadata=note)
        assert weights_metadata(path)["note"] == note["note"]


def test_metadata_is_kept(path):
    metadata = weights_metadata(path)
    assert metadata["licence"] == "CC0-1.0"
    assert metadata["unweave.architecture"] == "tiny"


def test_loading_and_saving_leave_generator_and_model_alone(path, trained):
    before = {key: tensor.clone() for key, tensor in trained.state_dict().items()}
    state = torch.get_rng_state()
    load_weights(path)
    save_weights(path, trained, architecture="tiny", config={}, dtype=torch.float16)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[key]) for key, tensor in trained.state_dict().items())


def test_a_failed_save_leaves_what_was_there(path, trained):
    good = path.read_bytes()
    with torch.no_grad():
        trained.inner.weight[0, 0] = 1e6
    with pytest.raises(WeightsError, match=r"inner.weight would hold values that are not finite"):
        save_weights(path, trained, architecture="tiny", config={}, dtype=torch.float16)
    with pytest.raises(ParameterError, match="unknown architecture 'tinny': known are"):
        save_weights(path, trained, architecture="tinny", config={})
    with pytest.raises(ParameterError, match="does not describe this model"):
        save_weights(path, trained, architecture="tiny", config={"width": 4})
    assert path.read_bytes() == good
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    with pytest.raises(WeightsError, match="cannot be written"):
        save_weights(path / "no" / "x.safetensors", trained, architecture="tiny", config={})


# Foreign and damaged files


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is damaged or no safetensors file"),
        (b"\x10\0\0\0\0\0\0\0{}", "is damaged or no safetensors file"),
        (b"hello world, this is text", "is damaged or no safetensors file"),
        (struct.pack("<Q", 2**60) + b"{}", "is damaged or no safetensors file"),
        (struct.pack("<Q", 20000) + b"[" * 20000, "is damaged or no safetensors file"),
        (pickle.dumps({"a": 1}), "can run code when it is loaded"),
        (b"PK\x03\x04" + bytes(100), "can run code when it is loaded"),
        (save({"a": torch.zeros(2)}), "of another program"),
    ],
)
def test_foreign_files_are_refused(tmp_path, content, text):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=text) as caught:
        load_weights(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_torch_checkpoints_are_refused(trained, tmp_path):
    path = tmp_path / "model.pt"
    torch.save(trained.state_dict(), path)
    with pytest.raises(WeightsError, match="is a PyTorch or pickle file"):
        load_model(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such file or directory; give the path"):
        load_weights(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="is a directory"):
        load_weights(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 100, -1])
def test_truncated_files_are_refused(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="is damaged or no safetensors file"):
        load_weights(path)


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ({"format": None}, "of another program"),
        ({"format": "2"}, "has format '2', this version of unweave reads 1: update unweave"),
        ({"architecture": "os.system"}, "needs the architecture 'os.system'"),
        ({"architecture": None}, "needs the architecture ''"),
        ({"config": None}, "configuration is no JSON"),
        ({"config": "[1]"}, "configuration is no JSON object"),
        ({"config": "[" * 100000}, "configuration is no JSON"),
        ({"config": json.dumps({"wdth": 3})}, "unknown entry 'wdth'"),
        ({"config": json.dumps({"width": 10**12})}, "width must be a number from 1 to 1000"),
        ({"config": json.dumps({"width": 0})}, "width must be a number"),
        ({"config": json.dumps({"width": True})}, "width must be a number"),
        ({"config": json.dumps({"width": 3.0})}, "width must be a number"),
        ({"config": json.dumps({"width": None})}, "width must be a number"),
        ({"config": '{"scale": NaN}'}, "scale must be a number"),
        ({"config": json.dumps({"sizes": [1] * 1000})}, "sizes must be a list of up to 64"),
        ({"config": json.dumps({"sizes": [1]})}, "cannot be built"),
        ({"config": json.dumps({"sizes": "ab"})}, "sizes must be a list"),
        ({"config": json.dumps({"sources": ["x" * 1000]})}, "sources must be text of up to 64"),
        ({"config": json.dumps({"sources": [3]})}, "sources must be text"),
        ({"config": json.dumps({"biased": 1})}, "biased must be true or false"),
        ({"config": json.dumps({"width": 4})}, r"has shape \(3, 2\), not \(4, 2\)"),
        ({"config": json.dumps({"biased": False})}, "has the unknown tensor 'inner.bias'"),
    ],
)
def test_bad_descriptions_are_refused(path, entries, text):
    rewrite(path, **entries)
    with pytest.raises(WeightsError, match=text) as caught:
        load_weights(path)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (torch.full((3,), float("nan")), "'inner.bias' holds values that are not finite"),
        (torch.full((3,), float("inf")), "'inner.bias' holds values that are not finite"),
        (torch.zeros(4), r"'inner.bias' has shape \(4,\), not \(3,\)"),
        (torch.zeros(3, dtype=torch.int64), "'inner.bias' has type I64"),
    ],
)
def test_bad_tensors_are_refused(path, tensor, text):
    rewrite(path, tensors={"inner.bias": tensor})
    with pytest.raises(WeightsError, match=text):
        load_weights(path)


def test_huge_networks_are_refused_without_memory(path, tiny, monkeypatch):
    """A file that asks for 8 MB of weights and brings none is found out on the meta device."""
    built = []
    monkeypatch.setattr(
        tiny, "__init__", _watch(tiny.__init__, lambda net: built.append(net.spare.weight.device))
    )
    rewrite(path, config=json.dumps({"sizes": [1000, 1000]}))
    with pytest.raises(WeightsError, match=r"'spare.weight' has shape \(2, 2\)"):
        load_weights(path)
    assert [device.type for device in built] == ["meta"]


def _watch(init, after):
    def __init__(self, *, sources=("vocals", "rest"), sizes=(2, 2)):
        init(self, sources=sources, sizes=sizes)
        after(self)

    return __init__


def test_written_weights_can_be_read_by_others_as_any_new_file(tmp_path):
    config = {"widths": [4, 4, 4], "recurrent": 8}
    save_weights(
        tmp_path / "w.safetensors", BandMaskNet(**config), architecture="bandmask", config=config
    )
    (tmp_path / "plain").touch()
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
