"""Exports the whole models that `compare.py` measures from PyTorch to ONNX, with random weights.

usage: models.py FOLDER

FOLDER gets NAME.onnx, and an input of each batch in NAME.batch_1.npz and, of a larger one,
NAME.batch_8.npz or NAME.batch_32.npz.
"""

import pathlib
import sys
import warnings

import numpy as np
import torch
from torch import nn


class Tagger(nn.Module):
    """A label for each token of a sentence: Embedding, two layers of a bidirectional LSTM, Linear."""

    batches = [1, 32]

    def __init__(self, ids=8000, features=128, units=256, labels=32):
        super().__init__()
        self.embedding = nn.Embedding(ids, features)
        self.lstm = nn.LSTM(features, units, num_layers=2, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * units, labels)

    def forward(self, ids):
        return self.linear(self.lstm(self.embedding(ids))[0])

    @staticmethod
    def input(batch):
        return torch.randint(0, 8000, (batch, 80))


class Crnn(nn.Module):
    """The usual reader of lines of text, after Shi, Bai and Yao (2015): seven convolutions over an
    image 32 pixels high, whose columns are then read by two layers of a bidirectional LSTM."""

    batches = [1, 32]

    def __init__(self, units=256, characters=37):
        super().__init__()

        def convolution(features, filters, size=3, padding=1, normalized=False):
            conv = nn.Conv2d(features, filters, size, padding=padding)
            norm = [nn.BatchNorm2d(filters)] if normalized else []
            return [conv, *norm, nn.ReLU()]

        halved, flattened = nn.MaxPool2d(2), nn.MaxPool2d((2, 2), (2, 1), (0, 1))
        self.image = nn.Sequential(
            *convolution(1, 64),
            halved,
            *convolution(64, 128),
            halved,
            *convolution(128, 256, normalized=True),
            *convolution(256, 256),
            flattened,
            *convolution(256, 512, normalized=True),
            *convolution(512, 512),
            flattened,
            *convolution(512, 512, size=2, padding=0, normalized=True),
        )
        self.lstm = nn.LSTM(512, units, num_layers=2, bidirectional=True)
        self.linear = nn.Linear(2 * units, characters)

    def forward(self, image):
        columns = self.image(image).squeeze(2).permute(2, 0, 1)  # [columns, batch, features]
        return self.linear(self.lstm(columns)[0])

    @staticmethod
    def input(batch):
        return torch.randn(batch, 1, 32, 100)


class Attending(nn.Module):
    """A bidirectional LSTM whose timesteps then attend to each other in eight heads, as in
    recognizers of speech and of what people do: LayerNorm of the sum, Linear."""

    batches = [1, 8]

    def __init__(self, features=80, units=128, outputs=256):
        super().__init__()
        self.lstm = nn.LSTM(features, units, bidirectional=True, batch_first=True)
        self.attention = nn.MultiheadAttention(2 * units, num_heads=8, batch_first=True)
        self.norm = nn.LayerNorm(2 * units)
        self.linear = nn.Linear(2 * units, outputs)

    def forward(self, x):
        x = self.lstm(x)[0]
        return self.linear(self.norm(x + self.attention(x, x, x, need_weights=False)[0]))

    @staticmethod
    def input(batch):
        return torch.randn(batch, 500, 80)


class Speech(nn.Module):
    """The usual reader of speech: two convolutions along time, a bidirectional GRU, Linear."""

    batches = [1, 8]

    def __init__(self, features=80, filters=256, units=128, characters=1000):
        super().__init__()
        self.sound = nn.Sequential(
            nn.Conv1d(features, filters, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(filters, filters, 5, padding=2),
            nn.ReLU(),
        )
        self.gru = nn.GRU(filters, units, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * units, characters)

    def forward(self, x):
        x = self.sound(x.transpose(1, 2)).transpose(1, 2)
        return self.linear(self.gru(x)[0])

    @staticmethod
    def input(batch):
        return torch.randn(batch, 500, 80)


class Diacritizer(nn.Module):
    """Marks for each character of a text, after Nakdimon (Gershuni and Pinter, 2022): Embedding,
    two layers of a bidirectional LSTM whose directions are added, a Linear for each kind of mark."""

    batches = [1, 32]

    def __init__(self, characters=64, units=400, marks=(16, 3, 4)):
        super().__init__()
        self.embedding = nn.Embedding(characters, units)
        self.first = nn.LSTM(units, units, bidirectional=True, batch_first=True)
        self.second = nn.LSTM(units, units, bidirectional=True, batch_first=True)
        self.linears = nn.ModuleList(nn.Linear(units, number) for number in marks)

    def forward(self, ids):
        x = self.embedding(ids)
        for lstm in [self.first, self.second]:
            forward, backward = lstm(x)[0].chunk(2, dim=2)
            x = forward + backward
        return tuple(linear(x) for linear in self.linears)

    @staticmethod
    def input(batch):
        return torch.randint(0, 64, (batch, 90))


MODELS = {
    "tagger": Tagger,
    "crnn": Crnn,
    "attention": Attending,
    "speech": Speech,
    "diacritics": Diacritizer,
}


def varied(module):
    """Statistics of normalizations as training leaves them, so that they aren't without effect."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    torch.manual_seed(1)
    for name, of in MODELS.items():
        model = of()
        varied(model)
        model.eval()
        for batch in model.batches:
            x = model.input(batch)
            np.savez(folder / f"{name}.batch_{batch}.npz", in_0=x.numpy().astype(np.float32))
        torch.onnx.export(
            model,
            (x,),
            folder / f"{name}.onnx",
            input_names=["x"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
            dynamo=True,
        )


if __name__ == "__main__":
    main()
