"""Exports the whole models that `compare.py` measures from PyTorch to ONNX, with random weights.

usage: models.py FOLDER

FOLDER gets NAME.onnx, and an input of each batch in NAME.batch_1.npz and NAME.batch_32.npz.
"""

import pathlib
import sys
import warnings

import numpy as np
import torch
from torch import nn

BATCHES = [1, 32]


class Tagger(nn.Module):
    """A label for each token of a sentence: Embedding, two layers of a bidirectional LSTM, Linear."""

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
    for name, model in [("tagger", Tagger()), ("crnn", Crnn())]:
        varied(model)
        model.eval()
        for batch in BATCHES:
            x = model.input(batch)
            np.savez(folder / f"{name}.batch_{batch}.npz", in_0=x.numpy().astype(np.float32))
        torch.onnx.export(
            model,
            (x,),
            folder / f"{name}.onnx",
            input_names=["x"],
            output_names=["y"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
            dynamo=True,
        )


if __name__ == "__main__":
    main()
