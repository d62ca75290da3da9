import pytest
import torch

from unweave._core import memory
from unweave._core.memory import fresh, recycled

DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 5), (3, 2**20)])
@pytest.mark.parametrize("give", [fresh, recycled])
def test_gives_writable_memory_of_any_size(give, shape, dtype):
    like = torch.zeros(1, dtype=dtype)
    out = give(like, *shape)
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


def test_memory_is_used_again_only_when_nothing_is_left_of_a_result():
    like = torch.zeros(1)
    first = recycled(like, 2, 2**21)
    place, view, array = first.data_ptr(), first.mT[5:], first.numpy()[1:]
    first.fill_(3)
    del first
    assert recycled(like, 2, 2**21).fill_(7).data_ptr() != place
    del view
    assert recycled(like, 2, 2**21).fill_(7).data_ptr() != place
    assert (array == 3).all()
    alive = recycled(like, 2, 2**21)
    del array
    again = recycled(like, 2**20, 4)
    assert again.data_ptr() == place
    assert alive.data_ptr() != place


def test_memory_that_is_far_too_large_is_not_used_again():
    like = torch.zeros(1)
    large = recycled(like, 2**23)
    del large
    assert len(memory._SPARE[0]) == 2**25
    small = recycled(like, 2**21)
    assert not memory._SPARE  # it went back to the system
    del small
    assert len(memory._SPARE[0]) == 2**23
