"""Build the training corpus: `python -m unweave.training.recipe.corpus`."""

from pathlib import Path
from typing import Annotated

import typer

from unweave.training.recipe.corpus import compose, loops, midi, singing, songs

SOUNDFONTS = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/MuseScore_General_Full.sf2",
)


def build(
    songs_folder: Annotated[Path, typer.Option("--songs", help="Folder of multitrack songs.")],
    output: Annotated[Path, typer.Option("--output", "-o")] = Path("runs/corpus"),
    seed: Annotated[int, typer.Option(help="Choice of sounds for the MIDI tunes.")] = 0,
    seconds: Annotated[float, typer.Option(help="Length limit of a MIDI tune.")] = 120.0,
) -> None:
    """Decode songs, render MIDI and sequence loops into OUTPUT/<collection>/<track>/<stem>.wav.

    Besides the songs it uses what `apt-get install fluidsynth fluid-soundfont-gm
    musescore-general-soundfont-lossless freedoom fretsonfire-songs-sectoid sonic-pi-samples
    a7xpg-data gunroar-data mu-cade-data noiz2sa-data parsec47-data rrootage-data titanion-data
    torus-trooper-data tumiki-fighters-data` installs, and the voices that `speech` lists. Licences:
    songs CC0, sound fonts and Frets on Fire MIT, Freedoom BSD-3, Sonic Pi CC0, the other games
    BSD-2, voices public domain, MIT- and BSD-like, Apache 2.0 and CC-BY.
    """
    print(f"songs: {songs.decode_songs(songs_folder, output)}")
    fonts = [Path(f) for f in SOUNDFONTS if Path(f).exists()]
    games = Path("/usr/share/games")
    print(f"voiceless songs: {songs.decode_fretsonfire(games / 'fretsonfire/data/songs', output)}")
    print(f"games' music: {songs.decode_games(games, output)}")
    print(f"singers: {singing.sing_tracks(output, tracks=240, seed=seed)}")
    more = singing.sing_tracks(output, tracks=110, seed=seed + 1, collection="singing-2")
    print(f"more singers: {more}")
    print(f"composed songs: {compose.compose_songs(output, fonts, tracks=200, seed=seed)}")
    samples = Path("/usr/share/sonic-pi/samples")
    print(f"sequenced tracks: {loops.sequence_loops(samples, output, tracks=60, seed=seed)}")
    tunes: dict[str, bytes] = {}
    for wad in sorted((games / "doom").glob("freedoom?.wad")):
        tunes |= {f"{wad.stem}-{name}": tune for name, tune in midi.wad_tunes(wad).items()}
    new = midi.render_tunes(tunes, fonts, output, seed=seed, seconds=seconds)
    print(f"MIDI tunes: {len(tunes)}, newly rendered: {new}")


if __name__ == "__main__":
    typer.run(build)
