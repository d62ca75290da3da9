import numpy as np
import soundfile

from unweave.training.recipe.corpus import songs


def test_music_of_games_becomes_accompaniment(tmp_path, monkeypatch):
    folder = tmp_path / "games" / "gunroar" / "sounds" / "musics"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    soundfile.write(folder / "tune.ogg", 0.1 * rng.standard_normal((22050, 2)), 22050)
    soundfile.write(folder / "blip.ogg", 0.1 * rng.standard_normal((500, 2)), 22050)
    other = tmp_path / "games" / "unknown" / "sounds"
    other.mkdir(parents=True)
    soundfile.write(other / "tune.ogg", 0.1 * rng.standard_normal((22050, 2)), 22050)
    monkeypatch.setattr(songs, "MUSIC_BYTES", (folder / "blip.ogg").stat().st_size)
    assert songs.decode_games(tmp_path / "games", tmp_path / "corpus") == 1
    (written,) = (tmp_path / "corpus").rglob("*.wav")
    assert written.relative_to(tmp_path / "corpus").parts == (
        "games",
        "gunroar-tune",
        "accompaniment.wav",
    )
    assert soundfile.info(written).frames == 44100
    assert soundfile.info(written).samplerate == 44100
