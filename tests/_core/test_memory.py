import pickle
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
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


HANDLES = {
    "tensor": lambda out: out,
    "part": lambda out: out.mT[:, 3:],
    "array": lambda out: out.numpy(),
    "part of an array": lambda out: out.numpy()[::-1, 5:],
    "NumPy by DLPack": np.from_dlpack,
    "tensor by DLPack": lambda out: torch.from_dlpack(out.numpy()),
    "storage": lambda out: torch.empty(0).set_(out.untyped_storage(), 0, (out.numel(),)),
    "buffer": lambda out: memoryview(out.numpy()),
    "parameter": torch.nn.Parameter,
    "pickled out of band": lambda out: pickle_out_of_band(out.numpy()),
    "shared": lambda out: out.share_memory_(),
}


def pickle_out_of_band(array):
    buffers = []
    data = pickle.dumps(array, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=buffers)


def test_results_that_live_in_any_form_and_thread_never_share_memory():
    handed_over, lock = [], threading.Lock()

    def check(held):
        handle, value = held
        if isinstance(handle, memoryview):
            handle = np.asarray(handle)
        assert bool((handle == value).all())

    def work(index):
        chance, mine = random.Random(index), []
        for step in range(40):
            if chance.random() < 0.6 or not mine:
                out = recycled(torch.zeros(1), 2, chance.choice([2**19, 2**19 + 700, 2**20]))
                value = 1 + step + 100 * index
                mine.append((HANDLES[chance.choice(list(HANDLES))](out.fill_(value)), value))
                del out
            elif chance.random() < 0.7:
                check(mine.pop(chance.randrange(len(mine))))
            else:
                with lock:
                    handed_over.append(mine.pop())
                    if len(handed_over) > 4:
                        mine.append(handed_over.pop(0))
            for held in mine[-4:]:
                check(held)
            del mine[:-4]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    for held in handed_over:
        check(held)
