//===- ResultRulesOfElementwise.cpp - Operators that work point by point --===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ResultRules.h"
#include "mlir/IR/BuiltinTypes.h"
#include <cmath>

using namespace mlir;
using namespace headrace;
using namespace headrace::aten;
using namespace headrace::aten::rules;

//===----------------------------------------------------------------------===//
// Operands broadcast
//===----------------------------------------------------------------------===//

/// The shape that all tensors among the arguments broadcast to.
static Sizes broadcastAll(Call &c) {
  SmallVector<Sizes> shapes;
  for (Value input : c.op.getInputs())
    shapes.push_back(getDims(input.getType()));
  return c.broadcast(shapes);
}

static void givePromoted(Call &c) { c.give(broadcastAll(c), c.promoted()); }
static void giveFloat(Call &c) {
  c.give(broadcastAll(c), c.promotedFloat());
}
static void giveBool(Call &c) { c.give(broadcastAll(c), c.i1()); }
/// `other` and the like only select or shift: the type is that of self.
static void giveSelfType(Call &c) {
  c.give(broadcastAll(c), c.type("self"));
}

static void giveDivision(Call &c) {
  bool rounds = c.has("rounding_mode") && !c.isNone("rounding_mode");
  c.give(broadcastAll(c), rounds ? c.promoted() : c.promotedFloat());
}

static void giveFloatPower(Call &c) {
  c.give(broadcastAll(c), Float64Type::get(c.op.getContext()));
}

static void giveWhere(Call &c) {
  // Without them it gives positions, which depend on data.
  if (!c.has("self")) {
    c.isUnknown = true;
    return;
  }
  c.give(broadcastAll(c), c.promoted({"self", "other"}));
}

static void giveScatterOfMask(Call &c) {
  c.give(c.broadcast({c.tensor("self"), c.tensor("mask")}), c.type("self"));
}

static void giveMaskedFill(Call &c) {
  c.require(c.tensor("value").empty(), "the value has dimensions");
  giveScatterOfMask(c);
}

//===----------------------------------------------------------------------===//
// One operand
//===----------------------------------------------------------------------===//

static StringRef getFirst(Call &c) {
  return c.has("self") ? "self" : c.has("input") ? "input" : "a";
}

/// The first argument's shape and type.
static void giveSame(Call &c) {
  StringRef name = getFirst(c);
  c.give(c.tensor(name), c.type(name));
}

static void giveSameFloat(Call &c) {
  c.give(c.tensor("self"), c.promotedFloat({"self"}));
}

static void giveCast(Call &c) {
  StringRef name = getFirst(c);
  Element type = c.type(name);
  if (c.has("other"))
    type = c.type("other");
  c.give(c.tensor(name), c.dtypeOr("dtype", type));
}

static void giveNativeDropout(Call &c) {
  giveSame(c);
  c.give(c.tensor("input"), c.i1());
}

static void givePrelu(Call &c) {
  Sizes self = c.tensor("self"), weight = c.tensor("weight");
  if (c.op.getBaseName() == "aten._prelu_kernel")
    return c.give(c.broadcast({self, weight}), c.type("self"));
  // One slope, or one per channel.
  SizeExpr count = product(weight);
  c.require(weight.size() <= 1, "weight has more than one dimension");
  if (count != SizeExpr(1))
    c.equal(count, self.size() > 1 ? self[1] : SizeExpr(1),
            "the slopes are not as many as the channels");
  c.give(self, c.type("self"));
}

static void giveGlu(Call &c) {
  Sizes self = c.tensor("self");
  if (!c.rankAtLeast(self, 1, "self"))
    return;
  int64_t d = c.dimension("dim", self.size());
  c.equal(self[d].mod(SizeExpr(2)), SizeExpr(0), "the size to be halved");
  self[d] = self[d].floorDiv(SizeExpr(2));
  c.give(self, c.type("self"));
}

//===----------------------------------------------------------------------===//
// New tensors
//===----------------------------------------------------------------------===//

static Sizes getNewShape(Call &c) {
  Sizes size = c.sizes("size");
  for (const SizeExpr &dim : size)
    c.atLeast(dim, 0, "a size");
  return size;
}

static void giveNew(Call &c) {
  // Without a dtype it is the default one, or that of the value.
  Element type =
      c.has("fill_value") ? Element() : Element::anyFloat();
  if (c.has("self"))
    type = c.type("self");
  c.give(getNewShape(c), c.dtypeOr("dtype", type));
}

static void giveLike(Call &c) {
  c.give(c.tensor("self"), c.dtypeOr("dtype", c.type("self")));
}

static void giveFill(Call &c) {
  if (c.has("value"))
    c.require(c.tensor("value").empty(), "the value has dimensions");
  c.give(c.tensor("self"), c.type("self"));
}

static void giveScalar(Call &c) {
  c.give({}, c.dtypeOr("dtype", Element::anyFloat()));
}

/// How many numbers there are from `start` to `end`, by `step`.
static std::optional<SizeExpr> countSteps(Call &c) {
  std::optional<SizeExpr> start = SizeExpr(0), end = c.op.getSize("end"),
                          step = SizeExpr(1);
  if (c.has("start"))
    start = c.op.getSize("start");
  if (c.has("step"))
    step = c.op.getSize("step");
  if (start && end && step) {
    std::optional<int64_t> by = step->getConstant();
    if (!by)
      return std::nullopt;
    if (!c.require(*by != 0, "step is 0"))
      return std::nullopt;
    SizeExpr span = *by > 0 ? *end - *start : *start - *end;
    c.atLeast(span, 0, "the step leads away from the end");
    return span.ceilDiv(
        SizeExpr(*by == std::numeric_limits<int64_t>::min()
                     ? std::numeric_limits<int64_t>::max()
                     : std::abs(*by)));
  }
  std::optional<double> from = 0.0, to = c.op.getFloat("end"), by = 1.0;
  if (c.has("start"))
    from = c.op.getFloat("start");
  if (c.has("step"))
    by = c.op.getFloat("step");
  if (!from || !to || !by)
    return std::nullopt;
  // For int64 the numbers are converted before, for other types after.
  if (Type type = c.op.getDType("dtype"); type && type.isInteger(64))
    for (std::optional<double> *number : {&from, &to, &by})
      *number = std::trunc(**number);
  if (!c.require(*by != 0, "step is 0"))
    return std::nullopt;
  double count = std::ceil((*to - *from) / *by);
  if (!c.require(count >= 0 && count < 0x1p62,
                 "the step does not lead to the end"))
    return std::nullopt;
  return SizeExpr(static_cast<int64_t>(count));
}

static void giveArange(Call &c) {
  c.giveSome({countSteps(c)}, c.dtypeOr("dtype", Element()));
}

static void giveLinspace(Call &c) {
  SizeExpr steps = c.size("steps");
  c.atLeast(steps, 0, "steps");
  c.give({steps}, c.dtypeOr("dtype", Element::anyFloat()));
}

static void giveEye(Call &c) {
  SizeExpr n = c.size("n"), m = c.has("m") ? c.size("m") : n;
  c.atLeast(n, 0, "n");
  c.atLeast(m, 0, "m");
  c.give({n, m}, c.dtypeOr("dtype", Element::anyFloat()));
}

static void giveTriangle(Call &c) {
  Sizes self = c.tensor("self");
  c.rankAtLeast(self, 2, "self");
  c.give(self, c.type("self"));
}

static void giveTriangleIndices(Call &c) {
  // Their number is computed where they are made, and compared there.
  c.giveSome({SizeExpr(2), std::nullopt}, c.dtypeOr("dtype", c.i64()));
}

static void giveOneHot(Call &c) {
  Sizes dims = c.tensor("self");
  std::optional<int64_t> classes = c.op.getInt("num_classes");
  SmallVector<std::optional<SizeExpr>> result(dims.begin(), dims.end());
  // -1: one more than the largest index, whatever that is.
  if (classes == -1)
    result.push_back(std::nullopt);
  else if (std::optional<SizeExpr> size = c.op.getSize("num_classes"))
    result.push_back(size);
  else
    result.push_back(std::nullopt);
  if (classes)
    c.require(*classes >= 1 || *classes == -1,
              "num_classes is " + Twine(*classes));
  c.giveSome(std::move(result), c.i64());
}

static void giveNothing(Call &) {}
/// A token that orders assertions.
static void giveToken(Call &c) { c.giveAny(); }

void rules::addElementwise(Table &table) {
  auto add = [&](Rule rule, std::initializer_list<StringRef> names) {
    for (StringRef name : names)
      table[name] = rule;
  };
  add(givePromoted,
      {"abs", "absolute", "neg", "negative", "positive", "sign", "sgn",
       "square", "ceil", "floor", "trunc", "fix", "round", "special_round",
       "frac", "bitwise_not", "mul", "multiply", "floor_divide", "remainder",
       "fmod", "maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp",
       "logaddexp2", "heaviside", "bitwise_and", "bitwise_or", "bitwise_xor",
       "__and__", "__or__", "__xor__", "bitwise_left_shift",
       "bitwise_right_shift", "__lshift__", "__rshift__", "add", "sub",
       "subtract", "rsub", "pow", "clamp", "clip", "clamp_min", "clamp_max",
       "addcmul", "nextafter"});
  add(giveFloat,
      {"exp",          "exp2",          "expm1",        "log",
       "log2",         "log10",         "log1p",        "sqrt",
       "rsqrt",        "reciprocal",    "sin",          "cos",
       "tan",          "tanh",          "atan",         "arctan",
       "asin",         "arcsin",        "arccos",       "acos",
       "sinh",         "cosh",          "arcsinh",      "arccosh",
       "arctanh",      "asinh",         "acosh",        "atanh",
       "erf",          "erfc",          "special_erf",  "special_erfc",
       "special_expm1", "special_expit", "special_exp2", "special_log1p",
       "special_ndtr", "special_entr",  "sinc",         "special_sinc",
       "sigmoid",      "deg2rad",       "rad2deg",      "atan2",
       "arctan2",      "copysign",      "xlogy",        "special_xlog1py",
       "ldexp",        "special_xlogy", "addcdiv"});
  add(giveBool,
      {"logical_not", "isnan",         "isinf",      "isfinite",
       "isposinf",    "isneginf",      "signbit",    "isreal",
       "eq",          "ne",            "not_equal",  "lt",
       "less",        "le",            "less_equal", "gt",
       "greater",     "ge",            "greater_equal", "logical_and",
       "logical_or",  "logical_xor",   "isclose"});
  add(giveDivision, {"div", "divide", "true_divide"});
  add(giveFloatPower, {"float_power"});
  add(giveSelfType, {"lerp"});
  add(giveWhere, {"where"});
  add(giveMaskedFill, {"masked_fill"});
  add(giveScatterOfMask, {"masked_scatter"});
  add(giveCast, {"to", "_to_copy", "type_as", "convert_element_type",
                 "prims.convert_element_type"});
  add(giveSame,
      {"clone",        "contiguous",   "detach",       "alias",
       "lift_fresh",   "lift",         "resolve_conj", "resolve_neg",
       "conj",         "_conj",        "pin_memory",   "cpu",
       "real",
       "dropout",      "feature_dropout", "alpha_dropout",
       "feature_alpha_dropout", "relu", "relu6",       "gelu",
       "silu",         "mish",         "softplus",     "log_sigmoid",
       "leaky_relu",   "elu",          "selu",         "celu",
       "hardswish",    "hardsigmoid",  "hardshrink",   "softshrink",
       "threshold",    "hardtanh",     "nan_to_num"});
  add(giveSameFloat, {"logit", "special_logit"});
  add(giveNativeDropout, {"native_dropout"});
  add(givePrelu, {"prelu", "_prelu_kernel"});
  add(giveGlu, {"glu"});
  add(giveNew, {"zeros", "ones", "full", "empty", "new_zeros", "new_ones",
                "new_full", "new_empty", "empty_strided",
                "new_empty_strided", "empty_permuted",
                "_efficientzerotensor"});
  add(giveLike, {"zeros_like", "ones_like", "full_like", "empty_like"});
  add(giveFill, {"fill", "zero"});
  add(giveScalar, {"scalar_tensor"});
  add(giveArange, {"arange"});
  add(giveLinspace, {"linspace"});
  add(giveEye, {"eye"});
  add(giveTriangle, {"tril", "triu"});
  add(giveTriangleIndices, {"tril_indices", "triu_indices"});
  add(giveOneHot, {"one_hot"});
  add(giveNothing,
      {"_assert_tensor_metadata", "sym_constrain_range",
       "sym_constrain_range_for_size", "_assert_async", "_assert_scalar"});
  add(giveToken, {"_functional_assert_scalar", "_functional_assert_async"});
}
