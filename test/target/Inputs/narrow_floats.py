"""A stage with every operation on a narrow float type, as scalars and vectors.

    narrow_floats.py TYPE                          prints the module
    narrow_floats.py --check TYPE RUN MODEL FOLDER  runs it, compares with torch
"""
import subprocess
import sys

N = 16
UNARY = {"math.absf": "abs", "math.floor": "floor", "math.ceil": "ceil",
         "math.trunc": "trunc", "math.roundeven": "round", "math.sqrt": "sqrt",
         "arith.negf": "neg", "math.exp": None, "math.tanh": None,
         "math.rsqrt": None, "math.log": None, "math.erf": None,
         "math.round": None}
BINARY = {"arith.addf": "add", "arith.subf": "sub", "arith.mulf": "mul",
          "arith.divf": "div", "arith.remf": "fmod",
          "arith.maximumf": "maximum", "arith.minimumf": "minimum",
          "math.copysign": "copysign", "arith.maxnumf": None,
          "arith.minnumf": None, "math.powf": None}


def cases(narrow, vector):
    """Pairs of torch's function (of a and b; or None) and lines that give %r."""
    def type_of(element):
        return f"vector<{N}x{element}>" if vector else element
    t, wide = type_of(narrow), type_of("f64")
    for op, name in UNARY.items():
        yield name and [name, "a"], [f"%r = {op} %a : {t}"]
    for op, name in BINARY.items():
        yield name and [name, "a", "b"], [f"%r = {op} %a, %b : {t}"]
    yield None, [f"%r = math.fma %a, %b, %a : {t}"]
    condition = f"{type_of('i1')}, {t}" if vector else t
    yield None, [f"%c = arith.cmpf olt, %a, %b : {t}",
                 f"%r = arith.select %c, %a, %b : {condition}"]
    for size in (8, 16, 32, 64):
        integer = type_of(f"i{size}")
        yield None, [f"%i = arith.fptosi %a : {t} to {integer}",
                     f"%r = arith.sitofp %i : {integer} to {t}"]
        yield None, [f"%i = arith.fptoui %a : {t} to {integer}",
                     f"%r = arith.uitofp %i : {integer} to {t}"]
    yield ["clone", "a"], [f"%x = arith.extf %a : {t} to {wide}",
                           f"%r = arith.truncf %x : {wide} to {t}"]
    if vector:
        yield None, [f"%m = vector.reduction <add>, %a : {t} into {narrow}",
                     f"%r = vector.broadcast %m : {narrow} to {t}"]
        yield None, [f"%r = vector.fma %a, %b, %a : {t}"]


def module(narrow):
    both = [(vector, case) for vector in (False, True)
            for case in cases(narrow, vector)]
    port = (f'tensor<{N}x{narrow}> {{hr.name = "%s", '
            f'hr.dims = [#hr.size<"{N}">]}}')
    rows = len(both)
    lines = [
        "module {", f"func.func private @main({port % 'a'}, {port % 'b'}) -> "
        f'(tensor<{rows}x{N}x{narrow}> {{hr.name = "y", hr.dims = '
        f'[#hr.size<"{rows}">, #hr.size<"{N}">]}}) '
        "attributes {hr.entry, hr.symbols = []}",
        "func.func private @all(%lo: index, %hi: index, %s: memref<?xi8>, "
        f"%k: memref<?xi8>, %p: memref<?x{narrow}>, %q: memref<?x{narrow}>, "
        f"%out: memref<?x{narrow}>) {{",
        "%zero = arith.constant 0 : index", "%one = arith.constant 1 : index",
        f"%n = arith.constant {N} : index"]
    for row, (vector, (_, body)) in enumerate(both):
        kind = "vector" if vector else "memref"
        suffix = f", vector<{N}x{narrow}>" if vector else ""
        memref = f"memref<?x{narrow}>{suffix}"
        step = "%n" if vector else "%one"
        lines += [f"%row{row} = arith.constant {row * N} : index",
                  f"scf.for %j = %zero to %n step {step} {{",
                  f"%a = {kind}.load %p[%j] : {memref}",
                  f"%b = {kind}.load %q[%j] : {memref}", *body,
                  f"%at = arith.addi %row{row}, %j : index",
                  f"{kind}.store %r, %out[%at] : {memref}", "}"]
    lines += ["return", "}", "sched.program @main_1 of @main workers 1 {",
              "arena @dram = 0", f"%a = buffer input 0 [{N}] {narrow}",
              f"%b = buffer input 1 [{N}] {narrow}",
              f"%y = buffer output 0 [{rows}, {N}] {narrow}",
              "stage @all grid [1] operands [read whole, read whole, write "
              "whole]", "timeline @core[w : 1] {",
              "run @all tiles [0, 1) (%a, %b -> %y)", "}", "}", "}"]
    return "\n".join(lines)


def check(narrow, program, model, folder):
    import numpy as np
    import torch
    dtype = {"bf16": torch.bfloat16, "f16": torch.float16}[narrow]
    bits = lambda x: x.view(torch.int16).numpy().view(np.uint16)
    special = [0., -0., 1e-39, -1e-39, np.inf, -np.inf, np.nan, 1, 2.5, -2.5,
               3.5, .5, 1.5, 1e-40, 6e-8, 65504]
    random = np.random.default_rng(1)
    for trial in range(20):
        a = torch.tensor(special if trial == 0 else
                         random.standard_normal(N) * 10. ** random.integers(-6, 4))
        b = torch.tensor(random.standard_normal(N))
        a, b = a.to(dtype), b.to(dtype)
        arrays = {"a": bits(a), "b": bits(b)}
        if narrow == "f16":
            arrays = {name: x.view(np.float16) for name, x in arrays.items()}
        np.savez(folder + "/in.npz", **arrays)
        subprocess.check_call([program, model, "--inputs", folder + "/in.npz",
                               "--outputs", folder + "/out.npz"])
        y = torch.tensor(np.load(folder + "/out.npz")["y"].view(np.int16))
        y = y.view(dtype)
        row = 0
        for vector in (False, True):
            for reference, body in cases(narrow, vector):
                if reference:
                    values = {"a": a, "b": b}
                    expected = getattr(torch, reference[0])(
                        *[values[v] for v in reference[1:]])
                    same = (y[row] == expected) | (
                        y[row].isnan() & expected.isnan())
                    assert same.all(), (body, a, b, y[row], expected)
                row += 1


if sys.argv[1] == "--check":
    check(*sys.argv[2:])
else:
    print(module(sys.argv[1]))
