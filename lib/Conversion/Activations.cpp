//===- Activations.cpp - Nonlinearities of neural networks ----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each is a body on one scalar, in f32 for 16-bit floats, with the numbers
// among the call's arguments as parameters.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Compare = Body::Compare;

/// Applies `body` to the argument, in its own type.
static void lowerActivation(Lowering &c, StringRef name,
                            function_ref<Scalar(Body &, Scalar)> body) {
  Tensor self = c.tensor(name);
  c.yieldCast(c.map({self}, self.dtype, self.dtype,
                    [&](Body &b, ArrayRef<Scalar> a) {
                      return body(b, a[0]);
                    }));
}

static Scalar sigmoid(Body &b, Scalar x) {
  Scalar one = b.constant(1.0, x.dtype);
  return b.div(one, b.add(one, b.math<math::ExpOp>(b.neg(x))));
}

/// log(1 + e^(x * beta)) / beta, the identity beyond the threshold.
static Scalar softplus(Body &b, Scalar x, double beta, double threshold) {
  DType t = x.dtype;
  Scalar scaled = beta == 1.0 ? x : b.mul(x, b.constant(beta, t));
  Scalar soft = b.math<math::Log1pOp>(b.math<math::ExpOp>(scaled));
  if (beta != 1.0)
    soft = b.div(soft, b.constant(beta, t));
  return b.select(b.compare(Compare::GT, scaled, b.constant(threshold, t)), x,
                  soft);
}

static void lowerGelu(Lowering &c) {
  bool tanh = c.text("approximate") == "tanh";
  lowerActivation(c, "self", [&](Body &b, Scalar x) {
    DType t = x.dtype;
    Scalar half = b.constant(0.5, t), one = b.constant(1.0, t);
    if (!tanh) {
      Scalar scaled = b.mul(x, b.constant(0.70710678118654752440, t));
      Scalar tail = b.add(one, b.math<math::ErfOp>(scaled));
      return b.mul(b.mul(x, half), tail);
    }
    Scalar cube = b.mul(b.mul(x, x), x);
    Scalar inner =
        b.mul(b.constant(0.79788456080286535588, t),
              b.add(x, b.mul(b.constant(0.044715, t), cube)));
    Scalar tail = b.add(one, b.math<math::TanhOp>(inner));
    return b.mul(b.mul(half, x), tail);
  });
}

/// x beyond zero; scale * expm1(x * inputScale) * alpha below.
static void lowerElu(Lowering &c, double alpha, double scale,
                     double inputScale) {
  lowerActivation(c, "self", [&](Body &b, Scalar x) {
    DType t = x.dtype;
    Scalar zero = b.constant(0.0, t);
    auto times = [&](Scalar value, double factor) {
      return factor == 1.0 ? value : b.mul(value, b.constant(factor, t));
    };
    Scalar below = times(b.math<math::ExpM1Op>(times(x, inputScale)),
                         alpha * scale);
    return b.select(b.compare(Compare::LT, x, zero), below, times(x, scale));
  });
}

/// min(max(x + 3, 0), 6)
static Scalar ramp(Body &b, Scalar x) {
  DType t = x.dtype;
  return b.min(b.max(b.add(x, b.constant(3.0, t)), b.constant(0.0, t)),
               b.constant(6.0, t));
}

static void lowerPrelu(Lowering &c) {
  Tensor self = c.tensor("self"), weight = c.tensor("weight");
  // One weight per channel, or one for all.
  if (weight.rank() == 1 && self.rank() >= 2) {
    Dims dims(self.rank(), SizeExpr(1));
    dims[1] = weight.dims[0];
    weight = c.reshape(weight, dims);
  } else if (weight.rank() == 1 && isOne(weight.dims[0])) {
    weight = c.reshape(weight, {});
  }
  c.yieldCast(c.map({self, weight}, self.dtype, self.dtype,
                    [](Body &b, ArrayRef<Scalar> a) {
                      Scalar zero = b.constant(0.0, a[0].dtype);
                      return b.select(b.compare(Compare::GT, a[0], zero),
                                      a[0], b.mul(a[1], a[0]));
                    }));
}

static void lowerGlu(Lowering &c) {
  Tensor self = c.tensor("self");
  if (self.rank() == 0)
    return c.fail("expected a tensor of rank 1 or more");
  int64_t d = c.dimension("dim", self.rank());
  Dims dims = c.resultDims();
  if (dims.size() != self.dims.size())
    return c.fail("changes the rank");
  SizeExpr half = dims[d];
  c.yieldCast(c.map({c.slice(self, d, SizeExpr(0), half),
                     c.slice(self, d, half, half)},
                    self.dtype, self.dtype, [](Body &b, ArrayRef<Scalar> a) {
                      return b.mul(a[0], sigmoid(b, a[1]));
                    }));
}

static void lowerLogit(Lowering &c) {
  bool clamped = !c.isNone("eps");
  double eps = clamped ? c.real("eps") : 0.0;
  lowerActivation(c, "self", [&](Body &b, Scalar x) {
    DType t = x.dtype;
    if (clamped)
      x = b.min(b.max(x, b.constant(eps, t)), b.constant(1.0 - eps, t));
    return b.math<math::LogOp>(b.div(x, b.sub(b.constant(1.0, t), x)));
  });
}

void conversion::registerActivations(Registry &r) {
  r.add("aten.relu.default", [](Lowering &c) {
    lowerActivation(c, "self", [](Body &b, Scalar x) {
      return b.max(x, b.integer(0, x.dtype));
    });
  });
  r.add("aten.relu6.default", [](Lowering &c) {
    lowerActivation(c, "self", [](Body &b, Scalar x) {
      return b.min(b.max(x, b.integer(0, x.dtype)), b.integer(6, x.dtype));
    });
  });
  r.add("aten.gelu.default", lowerGelu);
  r.add("aten.silu.default", [](Lowering &c) {
    lowerActivation(c, "self", [](Body &b, Scalar x) {
      Scalar one = b.constant(1.0, x.dtype);
      return b.div(x, b.add(one, b.math<math::ExpOp>(b.neg(x))));
    });
  });
  r.add("aten.mish.default", [](Lowering &c) {
    lowerActivation(c, "self", [](Body &b, Scalar x) {
      return b.mul(x, b.math<math::TanhOp>(softplus(b, x, 1.0, 20.0)));
    });
  });
  r.add("aten.softplus.default", [](Lowering &c) {
    double beta = c.real("beta"), threshold = c.real("threshold");
    lowerActivation(c, "self", [&](Body &b, Scalar x) {
      return softplus(b, x, beta, threshold);
    });
  });
  r.add("aten.log_sigmoid.default", [](Lowering &c) {
    lowerActivation(c, "self", [](Body &b, Scalar x) {
      Scalar low = b.min(x, b.constant(0.0, x.dtype));
      Scalar e = b.math<math::ExpOp>(b.neg(b.abs(x)));
      return b.sub(low, b.math<math::Log1pOp>(e));
    });
  });
  r.add("aten.leaky_relu.default", [](Lowering &c) {
    double slope = c.real("negative_slope");
    lowerActivation(c, "self", [&](Body &b, Scalar x) {
      Scalar zero = b.constant(0.0, x.dtype);
      return b.select(b.compare(Compare::GT, x, zero), x,
                      b.mul(x, b.constant(slope, x.dtype)));
    });
  });
  r.add("aten.elu.default", [](Lowering &c) {
    lowerElu(c, c.real("alpha"), c.real("scale"), c.real("input_scale"));
  });
  r.add("aten.selu.default", [](Lowering &c) {
    lowerElu(c, 1.6732632423543772848170429916717,
             1.0507009873554804934193349852946, 1.0);
  });
  r.add("aten.celu.default", [](Lowering &c) {
    double alpha = c.real("alpha");
    lowerElu(c, alpha, 1.0, 1.0 / alpha);
  });
  r.add("aten.hardswish.default", [](Lowering &c) {
    lowerActivation(c, "self", [](Body &b, Scalar x) {
      return b.div(b.mul(x, ramp(b, x)), b.constant(6.0, x.dtype));
    });
  });
  r.add("aten.hardsigmoid.default", [](Lowering &c) {
    lowerActivation(c, "self", [](Body &b, Scalar x) {
      return b.div(ramp(b, x), b.constant(6.0, x.dtype));
    });
  });
  r.add("aten.hardshrink.default", [](Lowering &c) {
    double lambda = c.real("lambd");
    lowerActivation(c, "self", [&](Body &b, Scalar x) {
      Scalar inside = b.compare(Compare::LE, b.abs(x),
                                b.constant(lambda, x.dtype));
      return b.select(inside, b.constant(0.0, x.dtype), x);
    });
  });
  r.add("aten.softshrink.default", [](Lowering &c) {
    double lambda = c.real("lambd");
    lowerActivation(c, "self", [&](Body &b, Scalar x) {
      DType t = x.dtype;
      Scalar by = b.constant(lambda, t), zero = b.constant(0.0, t);
      // NaN stays NaN: it is neither above nor below.
      Scalar below = b.select(b.compare(Compare::LT, x, b.neg(by)),
                              b.add(x, by), b.mul(x, zero));
      return b.select(b.compare(Compare::GT, x, by), b.sub(x, by), below);
    });
  });
  r.add("aten.threshold.default", [](Lowering &c) {
    Number threshold = c.number("threshold"), value = c.number("value");
    lowerActivation(c, "self", [&](Body &b, Scalar x) {
      return b.select(
          b.compare(Compare::LE, x, b.constant(threshold, x.dtype)),
          b.constant(value, x.dtype), x);
    });
  });
  r.add({"aten.prelu.default", "aten._prelu_kernel.default"}, lowerPrelu);
  r.add("aten.glu.default", lowerGlu);
  r.add({"aten.logit.default", "aten.special_logit.default"}, lowerLogit);
}
