"""How `unweave decompose` takes a song apart: by factors, medians or repetition."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unweave.cli.report import Reporter

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from unweave.decomposition import NMFResult
    from unweave.transforms import STFT

FACTORING = ("nmf", "snpa", "spa", "xray", "greedy")
RESIDUAL = "residual"
FACTORED = 0.8  # of the progress
SPLITTING = ("hpss", "repet", "repet-sim")
_PAIRS = {
    "hpss": ("harmonic", "percussive"),
    "repet": ("background", "foreground"),
    "repet-sim": ("background", "foreground"),
}
_PERIOD = (0.8, 8.0)  # seconds, of what repeats
_VOICES = 100.0  # hertz, below which nobody sings


@dataclass(frozen=True)
class Plan:
    """What was asked for; see the options of `unweave decompose`."""

    song: Path
    output: Path
    method: str
    components: int = 7
    beta: float = 2.0
    init: str = "nndsvda"
    starts: int = 1
    n_iter: int = 200
    mode: str = "mask"
    power: float = 1.0
    clusters: int | None = None
    cluster_by: str = "timbre"
    margin: float = 1.0
    n_fft: int | None = None
    hop_length: int | None = None
    references: Path | None = None
    start: float = 0.0
    duration: float | None = None
    format: str = "wav"
    subtype: str | None = None
    picture: bool = True
    overwrite: bool = False
    seed: int = 0
    device: str = "auto"

    @property
    def factors(self) -> bool:
        """Whether templates and activations are found."""
        return self.method in FACTORING

    @property
    def complete(self) -> bool:
        """Whether the sounds sum to the song."""
        return self.mode == "mask" and self.margin == 1

    @property
    def frame(self) -> int:
        """Samples of a frame: long ones tell notes apart, short ones strokes."""
        return self.n_fft or (4096 if self.factors else 2048)


@dataclass
class Parts:
    """What a song was taken apart into.

    Attributes:
        names: Of the sounds.
        blocks: Of all sounds, (sounds, channels, time).
        factors: What goes into the file of factors.
        magnitudes: What was factorised.
        facts: What else there is to tell.
        notes: What the user should know.
    """

    names: list[str]
    blocks: "Iterator[Tensor]"
    factors: "dict[str, Tensor]" = field(default_factory=dict)
    magnitudes: "Tensor | None" = None
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def expected_names(plan: Plan) -> list[str]:
    """Name the sounds, of which there may turn out to be fewer.

    Args:
        plan: What was asked for.
    """
    if plan.clusters is not None:
        names = _numbered("source", plan.clusters)
    elif plan.factors:
        names = _numbered("component", plan.components)
    else:
        names = list(_PAIRS[plan.method])
    return names if plan.complete else [*names, RESIDUAL]


def taken_apart(plan: Plan, mixture: "Tensor", rate: int, reporter: Reporter) -> Parts:
    """Find the parts of a song; their sound is made when it is asked for.

    Args:
        plan: How.
        mixture: The song, on the device that does it.
        rate: Samples per second.
        reporter: Tells of the progress.

    Shape:
        mixture: (channels, time)
    """
    from unweave.transforms import STFT

    hop_length = plan.hop_length or max(1, plan.frame // 4)
    transform = STFT(n_fft=plan.frame, hop_length=hop_length).to(mixture.device)
    if not plan.factors:
        return _split(plan, mixture, rate, transform)
    return _factored(plan, mixture, rate, transform, reporter)


def _split(plan: Plan, mixture: "Tensor", rate: int, transform: "STFT") -> Parts:
    """Split by medians or by repetition."""
    import torch

    from unweave.decomposition import hpss_audio, repet, repet_sim
    from unweave.errors import ParameterError

    if plan.method == "hpss":
        harmonic, percussive, _ = hpss_audio(mixture, margin=plan.margin, transform=transform)
        pair = (harmonic, percussive)
    else:
        X = transform(mixture)
        second, frames = rate / transform.hop_length, X.shape[-1]
        low = round(_VOICES * transform.n_fft / rate)
        shortest, longest = round(_PERIOD[0] * second), round(_PERIOD[1] * second)
        if frames < 3 * max(shortest, 1):
            raise ParameterError(
                f"{plan.method} needs three periods of {_PERIOD[0]} s, and {str(plan.song)!r} is"
                " shorter"
            )
        if plan.method == "repet":
            period = (max(1, shortest), max(1, shortest, min(longest, frames // 3)))
            found = repet(X, period=period, background_bins=low, margin=plan.margin)
        else:
            distance = max(1, round(second))
            found = repet_sim(X, min_distance=distance, background_bins=low, margin=plan.margin)
        length = mixture.shape[-1]
        pair = tuple(transform.inverse(part, length=length) for part in found)  # type: ignore[assignment]
    return Parts(list(_PAIRS[plan.method]), iter([torch.stack(pair)]))


def _factored(
    plan: Plan, mixture: "Tensor", rate: int, transform: "STFT", reporter: Reporter
) -> Parts:
    """Factorise the mean magnitudes of the channels."""
    import torch

    from unweave.decomposition.song import component_blocks, mean_magnitudes

    V = mean_magnitudes(mixture, transform=transform)
    _check_count(plan, V)
    seed = torch.Generator().manual_seed(plan.seed)
    factors, facts = _nmf(plan, V, seed, reporter) if plan.method == "nmf" else _frames(plan, V)
    W, H = factors["W"], factors["H"]
    facts["relative_error"] = float((V - W @ H).norm() / V.norm())
    names, groups = _numbered("component", len(H)), None
    if plan.clusters is not None:
        groups = factors["groups"] = _clustered(plan, plan.clusters, (W, H), rate)
        names = _numbered("source", int(groups.max()) + 1)
    options: dict[str, Any] = {"mode": plan.mode, "power": plan.power, "groups": groups}
    sizes = {"sample_rate": rate, "n_fft": transform.n_fft, "hop_length": transform.hop_length}
    factors |= {name: torch.tensor(value) for name, value in sizes.items()}
    found = "1 component" if len(H) == 1 else f"{len(H)} components"
    note = f"only {found}: further frames would explain nothing more"
    return Parts(
        names,
        component_blocks(W, H, mixture, transform=transform, **options),
        factors={name: x.cpu() for name, x in factors.items()},
        magnitudes=V.cpu(),
        facts=facts,
        notes=(note,) if len(H) < plan.components else (),
    )


def _clustered(plan: Plan, count: int, factors: "tuple[Tensor, Tensor]", rate: int) -> "Tensor":
    import torch

    from unweave.decomposition import cluster_components

    return cluster_components(
        *factors,
        n_clusters=min(count, len(factors[1])),
        features=plan.cluster_by,
        sample_rate=rate,
        generator=torch.Generator().manual_seed(plan.seed),
    )


def _frames(plan: Plan, V: "Tensor") -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """Choose frames, the loudest component first."""
    from unweave.decomposition import separable_nmf
    from unweave.decomposition.song import loudest_first

    indices, W, H = separable_nmf(V, plan.components, method=plan.method)
    order = loudest_first(W, H)
    return {"W": W[:, order], "H": H[order], "indices": indices[order]}, {"method": plan.method}


def _check_count(plan: Plan, V: "Tensor") -> None:
    from unweave.errors import ParameterError

    most = min(V.shape)
    if plan.components > most:
        raise ParameterError(
            f"--components {plan.components} are too many for {V.shape[0]} frequencies and"
            f" {V.shape[1]} frames: at most {most}"
        )


def _nmf(
    plan: Plan, V: "Tensor", seed: "Generator", reporter: Reporter
) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """Factorise, the loudest component first."""
    from unweave.decomposition import nmf
    from unweave.decomposition.song import loudest_first

    starts = -1

    def told(iteration: int, objective: float) -> None:
        nonlocal starts
        starts += iteration == 0
        done = (starts + iteration / plan.n_iter) / plan.starts
        facts = {"iteration": iteration, "objective": objective}
        reporter.progress(plan.song, FACTORED * done, 1.0, facts)

    made: NMFResult = nmf(
        V,
        plan.components,
        beta=plan.beta,
        init=plan.init,
        n_iter=plan.n_iter,
        n_starts=plan.starts,
        progress=told,
        generator=seed,
    )
    order = loudest_first(made.W, made.H)
    factors = {"W": made.W[:, order], "H": made.H[order]}
    factors |= {"objective": made.objective, "iterations": made.iterations}
    facts = {
        "method": plan.method,
        "iterations": made.n_iter,
        "objective": float(made.objective[-1]),
        "converged": made.converged,
    }
    return factors, facts


def _numbered(word: str, count: int) -> list[str]:
    digits = max(2, len(str(count)))
    return [f"{word}-{number:0{digits}d}" for number in range(1, count + 1)]
