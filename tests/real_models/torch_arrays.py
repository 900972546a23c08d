"""Computes what published PyTorch models return, for tests/formats/real_torch.rs.

usage: torch_arrays.py FOLDER

FOLDER has the wheels, unpacked. For each model its file and NAME.npz, with the inputs in float32 and
what PyTorch computes from them in float64, are put into FOLDER/torch. (PyTorch's float32 is up to
5.5e-6 from that, relative to max(1, |value|), on the taggers.)
"""

import pathlib
import shutil
import sys

import numpy as np
import torch
from torch import nn

FOLDER = pathlib.Path(sys.argv[1])
OUT = FOLDER / "torch"


def keep(name, file, x, output):
    path = FOLDER / file
    shutil.copy(path, OUT / f"{name}{path.suffix}")
    np.savez(
        OUT / f"{name}.npz", x=np.asarray(x, np.float32), output=np.asarray(output, np.float64)
    )
    print(f"{name}: x {tuple(x.shape)}, output {tuple(output.shape)}")


def tagger(name, file, kind):
    """The taggers of uzmorph-nn and uzmorph-bigru, which differ in their cell: Embedding, two layers
    of a bidirectional LSTM or GRU, Linear."""
    state = torch.load(FOLDER / file, map_location="cpu")
    embedding = nn.Embedding(*state["char_embeddings.weight"].shape)
    cell = "lstm" if kind is nn.LSTM else "gru"
    recurrent = kind(
        embedding.embedding_dim, 64, num_layers=2, bidirectional=True, batch_first=True
    )
    linear = nn.Linear(128, len(state["hidden2tag.bias"]))
    parts = nn.ModuleDict({"char_embeddings": embedding, cell: recurrent, "hidden2tag": linear})
    parts.load_state_dict(state)
    parts.double()
    ids = torch.randint(0, embedding.num_embeddings, (16, 24))
    keep(name, file, ids, linear(recurrent(embedding(ids))[0]))


def resemblyzer(file):
    """VoiceEncoder of resemblyzer: the last hidden state, projected and normalized."""
    state = torch.load(FOLDER / file, map_location="cpu")["model_state"]
    parts = nn.ModuleDict(
        {"lstm": nn.LSTM(40, 256, 3, batch_first=True), "linear": nn.Linear(256, 256)}
    )
    parts.load_state_dict(state, strict=False)
    parts.double()
    mels = torch.rand(4, 160, 40).double()
    _, (hidden, _) = parts["lstm"](mels)
    embeds = torch.relu(parts["linear"](hidden[-1]))
    keep("resemblyzer", file, mels, embeds / torch.norm(embeds, dim=1, keepdim=True))


def silero(file):
    """silero-vad at 16 kHz, call after call with its states; birnn gets the spectra, the square
    roots of sums of squares, which the first convolution gives."""
    from safetensors.torch import load_file

    state = load_file(FOLDER / file)
    conv = lambda features, filters, size, **more: nn.Conv1d(features, filters, size, **more)
    parts = nn.ModuleDict(
        {
            "stft_conv": conv(1, 258, 256, stride=128, bias=False),
            "conv1": conv(129, 128, 3, padding=1),
            "conv2": conv(128, 64, 3, stride=2, padding=1),
            "conv3": conv(64, 64, 3, stride=2, padding=1),
            "conv4": conv(64, 128, 3, padding=1),
            "lstm_cell": nn.LSTMCell(128, 128),
            "final_conv": conv(128, 1, 1),
        }
    )
    parts.load_state_dict(state)
    parts.double()
    sound = torch.cumsum(torch.randn(3, 5, 576), 2).double() / 50
    spectra, scores, hidden = [], [], None
    for call in range(sound.shape[1]):
        x = nn.functional.pad(sound[:, call], (0, 64), "reflect").unsqueeze(1)
        x = parts["stft_conv"](x)
        x = (x[:, :129] ** 2 + x[:, 129:] ** 2).sqrt()
        spectra.append(x.transpose(1, 2))
        for name in ["conv1", "conv2", "conv3", "conv4"]:
            x = torch.relu(parts[name](x))
        hidden = parts["lstm_cell"](x.squeeze(-1), hidden)
        scores.append(torch.sigmoid(parts["final_conv"](torch.relu(hidden[0]).unsqueeze(-1))))
    keep("silero", file, torch.stack(spectra, 1), torch.stack(scores, 1).squeeze(-1))


def main():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    with torch.no_grad():
        tagger("uzmorph_nn", "uzmorph_nn/data/morph_bilstm.pth", nn.LSTM)
        tagger("uzmorph_bigru", "uzmorph_bigru/data/morph_bigru.pth", nn.GRU)
        resemblyzer("resemblyzer/pretrained.pt")
        silero("silero_vad/data/silero_vad_16k.safetensors")


main()
