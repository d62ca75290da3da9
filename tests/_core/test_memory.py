import pytest
import torch

from unweave._core.memory import fresh

DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 5), (3, 2**20)])
def test_gives_writable_memory_of_any_size(shape, dtype):
    like = torch.zeros(1, dtype=dtype)
    out = fresh(like, *shape)
    assert out.shape == shape
    assert out.dtype == dtype
    assert out.is_contiguous()
    out.fill_(1)
    assert (out == 1).all()
    assert out.clone().requires_grad_().sum().requires_grad


def test_another_dtype_and_device():
    like = torch.zeros(1, device="meta")
    out = fresh(like, 4, 2**20, dtype=torch.complex64)
    assert out.device.type == "meta"
    assert out.dtype == torch.complex64
