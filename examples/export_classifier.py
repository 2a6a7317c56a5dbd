"""Exports the small classifier that the C and C++ examples use.

    python export_classifier.py classifier.pt2
"""

import sys

import torch


class Classifier(torch.nn.Module):
    """Rows of 16 features to probabilities of 4 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.Linear(32, 4))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layers(features).softmax(-1)


def main() -> None:
    torch.manual_seed(0)
    model = Classifier().eval()
    # The number of rows is up to the caller, between 1 and 1024.
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.export.export(model, (torch.zeros(8, 16),),
                                  dynamic_shapes=({0: batch},))
    torch.export.save(program, sys.argv[1])


if __name__ == "__main__":
    main()
