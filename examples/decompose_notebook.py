"""Take seven instruments apart without training: from stems to a table of decibels.

Seven stems are synthesised, nothing is downloaded: three notes of a piano, three notes of a
clarinet and a part of plucked strings, sixteen seconds at 22.05 kHz. Their sum is factorised by
NMF, by SNPA and by the greedy form of XRAY; components become sound raw and by masks, and are
matched to the stems. On the way, the traps that such demonstrations fall into are measured.

    python examples/decompose_notebook.py [--song] [--stems FOLDER] [--pictures FOLDER]
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import unweave
from unweave.decomposition import match_components, nmf, resynthesise, separable_nmf
from unweave.decomposition.song import loudest_first, mean_magnitudes
from unweave.transforms import STFT

RATE, SECONDS = 22_050, 16
STFT_OF_NOTES = STFT(n_fft=4096, hop_length=1024)
SONG = Path(__file__).parent / "song"
Factors = tuple[Tensor, Tensor]

# %% The stems: notes with partials, noise and decay, each in its own rhythm, in one small room


def pitch(note: int) -> float:
    """Give the frequency of a MIDI note in hertz."""
    return 440.0 * 2 ** ((note - 69) / 12)


def piano(f0: float, seconds: float, seed: torch.Generator) -> Tensor:
    """Strike a stiff string: partials spread and decay the faster the higher, in two stages."""
    t = torch.arange(round(seconds * RATE)) / RATE
    x = torch.zeros_like(t)
    for n in range(1, 30):
        f = n * f0 * (1 + 4e-4 * n**2) ** 0.5
        if f > 0.45 * RATE:
            break
        fast, slow = torch.exp(-t * (4 + 0.9 * n)), torch.exp(-t * (0.7 + 0.25 * n))
        phase = 6.28 * torch.rand(2, generator=seed)
        beat = torch.sin(6.2832 * f * t + phase[0]) + 0.5 * torch.sin(6.2858 * f * t + phase[1])
        x += (0.6 * fast + 0.4 * slow) * beat * 0.75**n
    hammer = torch.randn(len(t), generator=seed) * torch.exp(-t * 90)
    return (x + 0.15 * hammer) * fade(t, 0.003, 0.08, seconds)


def clarinet(f0: float, seconds: float, seed: torch.Generator) -> Tensor:
    """Blow a tube closed at one end: odd partials, a soft attack, vibrato and breath."""
    t = torch.arange(round(seconds * RATE)) / RATE
    bend = 0.003 * torch.sin(6.2832 * 5.2 * t) / 5.2  # of time: the pitch goes up and down by 2 %
    x = torch.zeros_like(t)
    for n in range(1, 22):
        if n * f0 > 0.45 * RATE:
            break
        level = (1.0 if n % 2 else 0.12) / n**1.1
        phase = 6.28 * torch.rand(1, generator=seed)
        onset = 1 - torch.exp(-t * (60 / n + 12))  # high partials come last
        x += level * onset * torch.sin(6.2832 * n * f0 * (t + bend) + phase)
    breath = torch.randn(len(t), generator=seed)
    return (x + 0.02 * breath) * (1 + 0.1 * torch.sin(6.2832 * 5 * t)) * fade(t, 0.04, 0.1, seconds)


def plucked(f0: float, seconds: float, seed: torch.Generator) -> Tensor:
    """Pluck a string: noise circles in a loop as long as a period that loses the high parts."""
    period = round(RATE / f0)
    loop = torch.rand(period, generator=seed) * 2 - 1
    loop -= loop.mean()  # no direct current
    rounds = []
    for _ in range(round(seconds * RATE) // period + 1):
        rounds.append(loop)
        loop = 0.996 * 0.5 * (loop + loop.roll(1))
    x = torch.cat(rounds)[: round(seconds * RATE)]
    return x * fade(torch.arange(len(x)) / RATE, 0.002, 0.05, seconds)


def fade(t: Tensor, rise: float, fall: float, seconds: float) -> Tensor:
    return (t / rise).clamp(max=1) * ((seconds - t) / fall).clamp(0, 1)


def part(
    notes: list[tuple[float, int, float]], instrument: Callable[..., Tensor], seed: torch.Generator
) -> Tensor:
    """Play (second, MIDI note, seconds) and let the room answer."""
    dry = torch.zeros(SECONDS * RATE)
    for begin, note, seconds in notes:
        start = round(begin * RATE)
        sound = instrument(pitch(note), min(seconds, SECONDS - begin), seed)[: len(dry) - start]
        loudness = 0.6 + 0.4 * torch.rand(1, generator=seed)
        dry[start : start + len(sound)] += loudness * sound
    t = torch.arange(round(0.5 * RATE)) / RATE
    room = torch.randn(len(t), generator=seed) * torch.exp(-t * 9) * 0.01
    room[0] = 1
    size = 2 * len(dry)
    return torch.fft.irfft(torch.fft.rfft(dry, size) * torch.fft.rfft(room, size), size)[: len(dry)]


def stems() -> dict[str, Tensor]:
    """Give the seven stems, (1, time) each, at the same energy."""
    seed = torch.Generator().manual_seed(0)
    beats = [0.5 * n for n in range(32)]
    chords = [(57, 64, 69), (53, 60, 65), (55, 62, 67), (52, 59, 64)]
    parts = {
        "piano C4": part([(b, 60, 1.5) for b in beats[0::8]], piano, seed),
        "piano E4": part([(b, 64, 1.2) for b in beats[2::6]], piano, seed),
        "piano G4": part([(b + 0.25, 67, 0.9) for b in beats[3::5]], piano, seed),
        "clarinet B3": part([(b, 59, 1.7) for b in beats[5::9]], clarinet, seed),
        "clarinet D5": part([(b, 74, 1.0) for b in beats[1::7]], clarinet, seed),
        "clarinet F5": part([(b, 77, 0.6) for b in beats[6::8]], clarinet, seed),
        "strings": part(
            [(b, note, 0.22) for n, b in enumerate(beats) for note in chords[n // 8]], plucked, seed
        ),
    }
    loudness = torch.stack([x.square().mean().sqrt() for x in parts.values()])
    return {
        name: (0.05 * x / level)[None]
        for (name, x), level in zip(parts.items(), loudness, strict=True)
    }


# %% The factorisations


def factorisations(mixture: Tensor, count: int) -> dict[str, Factors]:
    """Factorise the magnitudes of a mixture in all ways that are compared."""
    V = mean_magnitudes(mixture, transform=STFT_OF_NOTES)
    # scikit-learn's NMF, and so librosa's, is coordinate descent, not Lee and Seung's updates; and
    # plain NNDSVD may end in a poor minimum: other starts are tried, and the best is kept.
    seed = torch.Generator().manual_seed(0)
    found = {
        "NMF, Frobenius": nmf(V, count, n_starts=3, generator=seed)[:2],
        "NMF, KL": nmf(V, count, beta=1, n_iter=300)[:2],
    }
    # The weights that SNPA chooses by are not those to listen to: H is fitted to V once more, which
    # separable_nmf does. It also normalises, without blowing up the noise of silent frames.
    for name, method in (("SNPA", "snpa"), ("greedy XRAY", "greedy")):
        found[name] = separable_nmf(V, count, method=method)[1:]
    ordered = {}
    for name, (W, H) in found.items():
        order = loudest_first(W, H)  # not by the peak of W: ties make that order arbitrary
        ordered[name] = (W[:, order], H[order])
    return ordered


# %% The table


def ideal(references: Tensor, transform: STFT) -> Tensor:
    """Give what masks could do at best: shares of the true magnitudes."""
    S, X = transform(references).abs(), transform(references.sum(0))
    return transform.inverse(S / S.sum(0).clamp_min(1e-12) * X, length=references.shape[-1])


def decibels(signal: Tensor, error: Tensor) -> float:
    """Give a ratio of energies in dB: of energies, not of norms, which is half as much."""
    ratio = signal.double().square().sum() / error.double().square().sum()
    return float(10 * ratio.log10())


def row(references: Tensor, estimates: Tensor) -> dict[str, float]:
    """Compare one to one: each component stands for one stem, and none is used twice."""
    match = match_components(references, estimates)
    snr = match_components(references, estimates, metric="snr").table
    places = torch.arange(len(references))
    used = match.indices >= 0
    ratios = snr[places[used], match.indices[used]]
    return {
        "SI-SDR": float(match.scores.nanmean()),  # the mean of decibels, not of ratios
        "worst": float(match.scores[used].min()),
        "SNR": float(ratios.mean()),
        "sum": decibels(references.sum(0), references.sum(0) - estimates.sum(0)),
    }


def table(references: Tensor, found: dict[str, Factors]) -> dict[str, dict[str, float]]:
    """Make every factorisation heard, match it, and give a row of decibels."""
    mixture, count, transform = references.sum(0), len(references), STFT_OF_NOTES
    rows = {"the mixture itself": row(references, (mixture / count).expand(count, *mixture.shape))}
    for name, (W, H) in found.items():
        for mode, power in (("raw", 1.0), ("mask", 1.0), ("mask", 2.0)):
            # Exactly as long as the mixture: an inverse transform without its length loses the end
            sound = resynthesise(W, H, mixture, transform=transform, mode=mode, power=power)
            label = f"{name}, {mode}" + (" of powers" if power == 2 else "")
            rows[label] = row(references, sound.components)
    rows["ideal masks"] = row(references, ideal(references, transform))
    return rows


def show(rows: dict[str, dict[str, float]]) -> str:
    headings = list(next(iter(rows.values())))
    lines = ["| | " + " | ".join(headings) + " |", "|---" * (len(headings) + 1) + "|"]
    for name, values in rows.items():
        cells = (f"{round(v, 2) + 0.0:.2f}" if v < 100 else "> 100" for v in values.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


# %% The traps, measured


def traps(references: Tensor) -> dict[str, float]:
    """Measure what the usual mistakes of such demonstrations do."""
    mixture, transform, count = references.sum(0), STFT_OF_NOTES, len(references)
    V = mean_magnitudes(mixture, transform=transform)
    W, H = separable_nmf(V, count)[1:]
    raw = resynthesise(W, H, mixture, transform=transform, mode="raw").components
    naive = match_components(references, raw, metric="norm_ratio", pairing="best")
    fair = match_components(references, raw, metric="snr")
    stem = references[0]
    low, high = stem.amin(), stem.amax()
    scaled = 2 * (stem - low) / (high - low) - 1
    W, H = nmf(V, count)[:2]  # whose activations and templates have exact zeros
    models = torch.einsum("fk,kt->kft", W, H)
    X = transform(mixture[0])
    shares = models / models.sum(0).clamp_min(1e-30)
    unfloored = transform.inverse((shares * X).sum(0), length=mixture.shape[-1])
    short = transform.inverse(X)
    return {
        "mean of 10 log10 of ratios of norms, best match": float(naive.scores.mean()),
        "the same in dB": 2 * float(naive.scores.mean()),
        "one to one, in dB": float(fair.scores.mean()),
        "components that stand for several stems or none": float(naive.unmatched.sum()),
        "share of direct current after min-max scaling": float(
            scaled.mean().square() / scaled.square().mean()
        ),
        "samples lost without length": float(mixture.shape[-1] - short.shape[-1]),
        "sum of masks without a floor, dB": decibels(mixture[0], mixture[0] - unfloored),
    }


# %% The bundled song: four stems, of which no frame holds one alone


def song() -> Tensor:
    """Give the stems of the bundled song in mono, (4, 1, time)."""
    names = ("vocals", "drums", "bass", "other")
    return torch.stack([unweave.read(SONG / f"{n}.ogg")[0].mean(0, keepdim=True) for n in names])


# %% Pictures


def draw(sounds: dict[str, Tensor], found: dict[str, Factors], folder: Path) -> None:
    """Draw the factors that NMF and SNPA find, in the order of the stems."""
    from unweave import plots

    mixture = sum(sounds.values())
    V = mean_magnitudes(mixture, transform=STFT_OF_NOTES)
    references = torch.stack(list(sounds.values()))
    for name in ("NMF, KL", "SNPA"):
        W, H = found[name]
        parts = resynthesise(W, H, mixture, transform=STFT_OF_NOTES).components
        order = match_components(references, parts).indices
        axes = plots.components(
            W[:, order], H[order], sample_rate=RATE, hop_length=1024, V=V, names=list(sounds)
        )
        plots.save(axes, folder / f"notebook-{name.split()[-1].lower()}.png", dpi=85)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--song", action="store_true", help="also take the bundled song apart")
    parser.add_argument("--stems", type=Path, help="write the stems and their sum here")
    parser.add_argument("--pictures", type=Path, help="draw the factors here")
    options = parser.parse_args()
    sounds = stems()
    references = torch.stack(list(sounds.values()))
    found = factorisations(references.sum(0), len(references))
    print(show(table(references, found)))
    for what, value in traps(references).items():
        print(f"{what}: {value:.4g}")
    if options.song:
        references_of_song = song()
        found_in_song = factorisations(references_of_song.sum(0), len(references_of_song))
        print(show(table(references_of_song, found_in_song)))
    if options.stems is not None:
        options.stems.mkdir(parents=True, exist_ok=True)
        for name, sound in {**sounds, "mixture": references.sum(0)}.items():
            unweave.write(options.stems / f"{name}.wav", sound, RATE)
    if options.pictures is not None:
        draw(sounds, found, options.pictures)


if __name__ == "__main__":
    main()
