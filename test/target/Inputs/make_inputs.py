"""Writes .npz files for headrace-run.test; with --check compares y = 2 x w."""
import sys
import warnings
import zipfile

import numpy as np

if sys.argv[1] == "--check":
    x = np.load(sys.argv[2])["x"].astype(np.float64)
    y = np.load(sys.argv[3])["y"]
    w = np.arange(256, dtype=np.float64).reshape(16, 16)
    expected = 2 * x @ w
    assert y.dtype == np.float32 and y.shape == expected.shape
    assert np.abs(y - expected).max() <= 1e-6 * np.abs(expected).max()
    sys.exit()

folder = sys.argv[1]
x = np.random.default_rng(1).standard_normal((7, 16)).astype(np.float32)
np.savez(folder + "/rows.npz", x=x)
np.savez(folder + "/extra.npz", x=x, other=np.int64(3))
np.savez(folder + "/columns.npz", x=np.asfortranarray(x))
np.savez_compressed(folder + "/compressed.npz", x=x)
np.savez(folder + "/double.npz", x=x.astype(np.float64))
np.savez(folder + "/name.npz", z=x)
np.savez(folder + "/wide.npz", x=np.zeros((7, 17), np.float32))
with zipfile.ZipFile(folder + "/rows.npz") as rows, warnings.catch_warnings(), \
        zipfile.ZipFile(folder + "/twice.npz", "w") as twice:
    warnings.simplefilter("ignore")
    for _ in range(2):
        twice.writestr("x.npy", rows.read("x.npy"))
data = bytearray(open(folder + "/rows.npz", "rb").read())
open(folder + "/short.npz", "wb").write(data[:len(data) // 2])
data[data.index(x.tobytes()) + 9] ^= 1
open(folder + "/flipped.npz", "wb").write(data)
