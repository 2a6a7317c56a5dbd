"""torch.compile with Headrace as its backend.

    python torch_compile.py
"""

import warnings

import torch

import headrace


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(16, 16)
        self.second = torch.nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        print("a graph ends here")  # Python that cannot be traced
        return self.second(x).softmax(-1)


@torch.no_grad()  # with gradients, graphs run in eager mode
def main() -> None:
    torch.manual_seed(0)
    model = Model().eval()
    x = torch.randn(4, 16)

    # Two graphs, each compiled; what is between them stays Python.
    fast = torch.compile(model, backend="headrace")
    torch.testing.assert_close(fast(x), model(x))

    # Weights are arguments of a graph, so new values count at once...
    model.first.weight.mul_(2)
    torch.testing.assert_close(fast(x), model(x))

    # ... unless they are compiled in, which is faster; a change that torch's
    # version counters show leads to a new compilation.
    frozen = torch.compile(model, backend="headrace",
                           options={"freeze": True, "opt": 2})
    torch.testing.assert_close(frozen(x), model(x))

    # What is not supported runs in eager mode, with one warning that says why.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", headrace.FallbackWarning)
        inverse = torch.compile(torch.linalg.inv, backend="headrace")
        torch.testing.assert_close(inverse(2 * torch.eye(3)),
                                   torch.eye(3) / 2)
    print([str(w.message) for w in caught
           if w.category is headrace.FallbackWarning][0])


if __name__ == "__main__":
    main()
