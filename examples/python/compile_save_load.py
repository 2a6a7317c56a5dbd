"""Compiles a model, saves the artifact, and runs it as another program would.

    python compile_save_load.py
"""

import os
import tempfile

import numpy
import torch

import headrace


class Classifier(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.Linear(32, 4))

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = self.layers(features)
        return {"scores": scores, "label": scores.argmax(-1)}


def main() -> None:
    torch.manual_seed(0)
    model = Classifier().eval()

    # The number of rows may change from call to call.
    rows = torch.export.Dim("rows", min=1, max=256)
    fast = headrace.compile(model, (torch.zeros(8, 16),),
                            dynamic_shapes=({0: rows},))
    features = torch.randn(3, 16)
    result = fast(features)  # the same containers as the module's
    torch.testing.assert_close(result["scores"], model(features)["scores"])

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "classifier.so")
        fast.save(path)
        # From here on torch is not needed: numpy in, numpy out.
        loaded = headrace.load(path)
        print(loaded.entries["main"])
        labels = loaded(features.numpy())["label"]
        assert isinstance(labels, numpy.ndarray)
        print("labels", labels.tolist())
        assert labels.tolist() == result["label"].tolist()

        # Contexts are independent of each other: one per thread.
        context = loaded.context(workers=1)
        assert context(features.numpy())["label"].tolist() == labels.tolist()


if __name__ == "__main__":
    main()
