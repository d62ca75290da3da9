"""The TFC-TDF U-Net."""

import pytest
import torch

from unweave.errors import ParameterError
from unweave.models import TFCTDFUNet
from unweave.models.tfc_tdf import joined, parts


def test_the_parameter_count_is_that_of_mdx_net():
    with torch.device("meta"):
        net = TFCTDFUNet(2048)
    millions = sum(parameter.numel() for parameter in net.parameters()) / 1e6
    assert f"{millions:.1f} million parameters" in TFCTDFUNet.__doc__


def test_outputs_may_differ_from_inputs():
    net = TFCTDFUNet(33, 4, 12, hidden_channels=2, num_levels=2)
    assert net(torch.rand(1, 4, 33, 7)).shape == (1, 12, 33, 7)


def test_dense_layers_see_the_whole_spectrum():
    torch.manual_seed(0)
    net = TFCTDFUNet(256, 1, hidden_channels=8, num_levels=1, num_convolutions=1).eval()
    x = torch.rand(1, 1, 256, 8, requires_grad=True)
    net(x)[0, 0, 3].sum().backward()
    assert float(x.grad[0, 0, 200].abs().max()) > 0


def test_a_bottleneck_wider_than_the_spectrum_leaves_one_value():
    net = TFCTDFUNet(4, 1, hidden_channels=2, num_levels=1, bottleneck=100)
    assert net(torch.rand(2, 1, 4, 8)).shape == (2, 1, 4, 8)


def test_spectra_are_laid_out_as_maps_and_back():
    spec = torch.randn(2, 3, 5, 7, dtype=torch.complex64)
    maps = parts(spec)
    assert torch.equal(maps[:, 2], spec[:, 1].real)
    assert torch.equal(maps[:, 3], spec[:, 1].imag)
    assert torch.equal(joined(maps), spec)
    with pytest.raises(ParameterError, match="complex"):
        parts(maps)


@pytest.mark.parametrize(
    "words", [{"num_levels": 0}, {"bottleneck": 0}, {"num_convolutions": 0}, {"num_channels": 0}]
)
def test_wrong_parameters_are_refused(words):
    with pytest.raises(ParameterError, match=next(iter(words))):
        TFCTDFUNet(33, **words)
