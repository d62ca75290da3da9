import pytest
import torch

from unweave._core.frames import Framing, add_frames, blocks, overlap_add
from unweave._core.windows import get_window


def slow_overlap_add(frames, hop):
    rows, count, n_fft = frames.shape
    out = torch.zeros(rows, (count - 1) * hop + n_fft, dtype=frames.dtype)
    for t in range(count):
        out[:, t * hop : t * hop + n_fft] += frames[:, t]
    return out


@pytest.mark.parametrize("n_fft", [1, 7, 8, 60])
@pytest.mark.parametrize("hop", [1, 2, 3, 8, 11])
@pytest.mark.parametrize("count", [1, 2, 9, 30])
def test_overlap_add_is_the_sum_of_shifted_frames(n_fft, hop, count):
    frames = torch.randn(2, count, n_fft, dtype=torch.float64)
    expected = slow_overlap_add(frames, hop)
    out = overlap_add(frames, hop)
    torch.testing.assert_close(out[:, : expected.shape[1]], expected)
    assert (out[:, expected.shape[1] :] == 0).all()


@pytest.mark.parametrize("hop", [1, 3, 8, 11])
def test_add_frames_keeps_what_was_there(hop):
    frames = torch.randn(1, 5, 8, dtype=torch.float64)
    sums = torch.ones(1, 20, hop, dtype=torch.float64)
    add_frames(sums, frames)
    expected = torch.ones(1, 20 * hop, dtype=torch.float64)
    added = slow_overlap_add(frames, hop)
    expected[:, : added.shape[1]] += added
    torch.testing.assert_close(sums.flatten(1), expected)


@pytest.mark.parametrize(("n_fft", "hop"), [(8, 2), (9, 4), (16, 1), (5, 5), (5, 7), (30, 7)])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 40])
def test_envelope_is_the_overlap_added_squared_window(n_fft, hop, count):
    window = torch.rand(n_fft, dtype=torch.float64)
    envelope = Framing(window, hop, True).envelope(count, dtype=torch.float64)
    expected = slow_overlap_add(window.square().expand(1, count, n_fft), hop)[0]
    torch.testing.assert_close(envelope, expected)


@pytest.mark.parametrize("count", [1, 2, 5, 60])
def test_unseen_samples_are_counted_at_both_ends(count):
    framing = Framing(get_window("hann", 32), 8, False)
    envelope = framing.envelope(count, dtype=torch.float64)
    seen = envelope >= framing.floor
    left, right = framing.unseen(0, len(envelope), count)
    assert seen[left : len(envelope) - right].all()
    assert not seen[:left].any()
    assert not seen[len(envelope) - right :].any()
    assert framing.unseen(0, len(envelope) + 10, count) == (left, right + 10)


def test_a_range_after_all_frames_is_wholly_unseen():
    framing = Framing(get_window("hann", 32), 8, True)
    assert framing.unseen(100, 120, 1) == (20, 20)


def test_counts_are_those_of_torch_wherever_the_tail_is_seen():
    framing = Framing(get_window("hann", 32), 8, True)
    assert [framing.count(n) for n in range(1, 200)] == [1 + n // 8 for n in range(1, 200)]


def test_half_overlap_gets_one_more_frame_only_for_an_unseen_tail():
    framing = Framing(get_window("hann", 64), 32, True)
    extra = [framing.count(n) - 1 - n // 32 for n in range(1, 129)]
    assert set(extra) == {0, 1}
    assert extra[31] == extra[95] == 0  # a multiple of the hop: a frame is centred on the end
    assert extra[30] == extra[94] == 1  # one sample less: the last sample has weight sin^2(pi / 64)


@pytest.mark.parametrize(
    ("hop", "invertible"),
    [(1, True), (32, True), (48, True), (63, False), (64, False), (90, False)],
)
def test_gaps_between_windows_are_noticed(hop, invertible):
    assert Framing(get_window("hann", 64), hop, True).invertible is invertible


@pytest.mark.parametrize(("rows", "frames"), [(1, 1), (3, 700), (50, 7), (2, 0), (1, 5000)])
def test_blocks_cover_every_frame_once(rows, frames):
    seen = torch.zeros(rows, frames)
    for row, frame in blocks(rows, frames, 2048):
        seen[row, frame] += 1
        assert frame.start == 0 or row.stop - row.start == 1
    assert (seen == 1).all()
