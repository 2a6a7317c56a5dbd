//===- MathLibrary.cpp - Elementary functions, at most 1 ulp off ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which function stands for which math op, at which width.
//
//===----------------------------------------------------------------------===//

#include "headrace/Target/MathLibrary.h"
#include "MathFunctions.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::math_library;

namespace headrace {
#define GEN_PASS_DEF_MATHEXPANDFUNCTIONS
#include "headrace/Target/MathPasses.h.inc"
} // namespace headrace

namespace {
/// A function of one operand. `f32` may be null: then f64 serves.
struct Unary {
  V (*f64)(V x, bool forF32);
  V (*f32)(V x);
};
struct Binary {
  V (*f64)(V x, V y, bool forF32);
};
} // namespace

static V rsqrt64(V x, bool) { return rsqrt(x); }

static std::optional<Unary> getUnary(Operation *op) {
  return TypeSwitch<Operation *, std::optional<Unary>>(op)
      .Case([](math::ExpOp) { return Unary{exp64, exp32}; })
      .Case([](math::Exp2Op) { return Unary{exp264, nullptr}; })
      .Case([](math::ExpM1Op) { return Unary{expm164, nullptr}; })
      .Case([](math::LogOp) { return Unary{log64, log32}; })
      .Case([](math::Log1pOp) { return Unary{log1p64, nullptr}; })
      .Case([](math::Log2Op) { return Unary{log264, nullptr}; })
      .Case([](math::Log10Op) { return Unary{log1064, nullptr}; })
      .Case([](math::SinhOp) { return Unary{sinh64, nullptr}; })
      .Case([](math::CoshOp) { return Unary{cosh64, nullptr}; })
      .Case([](math::TanhOp) { return Unary{tanh64, tanh32}; })
      .Case([](math::AsinhOp) { return Unary{asinh64, nullptr}; })
      .Case([](math::AcoshOp) { return Unary{acosh64, nullptr}; })
      .Case([](math::AtanhOp) { return Unary{atanh64, nullptr}; })
      .Case([](math::SinOp) { return Unary{sin64, nullptr}; })
      .Case([](math::CosOp) { return Unary{cos64, nullptr}; })
      .Case([](math::TanOp) { return Unary{tan64, nullptr}; })
      .Case([](math::AsinOp) { return Unary{asin64, nullptr}; })
      .Case([](math::AcosOp) { return Unary{acos64, nullptr}; })
      .Case([](math::AtanOp) { return Unary{atan64, nullptr}; })
      .Case([](math::ErfOp) { return Unary{erf64, erf32}; })
      .Case([](math::ErfcOp) { return Unary{erfc64, nullptr}; })
      .Case([](math::CbrtOp) { return Unary{cbrt64, nullptr}; })
      .Case([](math::RsqrtOp) { return Unary{rsqrt64, rsqrt}; })
      .Default([](Operation *) { return std::nullopt; });
}

static std::optional<Binary> getBinary(Operation *op) {
  if (isa<math::PowFOp>(op))
    return Binary{pow64};
  if (isa<math::Atan2Op>(op))
    return Binary{atan264};
  return std::nullopt;
}

bool headrace::isMathFunction(Operation *op) {
  return getUnary(op) || getBinary(op);
}

/// Whether the library has the function at the type of `op`.
static bool isExpandable(Operation *op) {
  if (!isMathFunction(op) || op->getNumResults() != 1)
    return false;
  Type type = op->getResult(0).getType();
  if (auto vector = dyn_cast<VectorType>(type); vector && vector.isScalable())
    return false;
  auto element = dyn_cast<FloatType>(getElementTypeOrSelf(type));
  return element && (element.isF64() || element.isF32() || element.isF16() ||
                     element.isBF16());
}

/// `value` with another float element type.
static Value convert(OpBuilder &builder, Location loc, Value value,
                     FloatType element) {
  Type type = element;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    type = vector.clone(element);
  unsigned from = getElementTypeOrSelf(value.getType()).getIntOrFloatBitWidth();
  if (from == element.getWidth())
    return value;
  if (from < element.getWidth())
    return arith::ExtFOp::create(builder, loc, type, value);
  return arith::TruncFOp::create(builder, loc, type, value);
}

Value headrace::expandMathFunction(OpBuilder &builder, Operation *op,
                                   bool fma, bool scalef) {
  if (!isExpandable(op))
    return {};
  std::optional<Unary> unary = getUnary(op);
  std::optional<Binary> binary = getBinary(op);
  auto element =
      cast<FloatType>(getElementTypeOrSelf(op->getResult(0).getType()));
  Location loc = op->getLoc();
  Emitter emitter{builder, loc, fma, scalef};
  FloatType f32 = builder.getF32Type(), f64 = builder.getF64Type();

  // Narrow types go by way of f32: one rounding more than necessary, of a value
  // with 13 or 16 bits to spare.
  FloatType working = element.isF64() ? f64 : f32;
  SmallVector<V, 2> operands;
  for (Value operand : op->getOperands())
    operands.push_back({&emitter, convert(builder, loc, operand, working)});
  V result;
  if (unary && working == f32 && unary->f32) {
    result = unary->f32(operands[0]);
  } else {
    bool forF32 = working == f32;
    for (V &operand : operands)
      operand = toF64(operand);
    result = unary ? unary->f64(operands[0], forF32)
                   : binary->f64(operands[0], operands[1], forF32);
    if (forF32)
      result = toF32(result);
  }
  return convert(builder, loc, result.value, element);
}

/// The same op on other operands.
static Operation *cloneOn(OpBuilder &builder, Operation *op,
                          ValueRange operands) {
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  Type type = cast<VectorType>(operands[0].getType()).clone(element);
  OperationState state(op->getLoc(), op->getName().getStringRef(), operands,
                       type, op->getAttrs());
  return builder.create(state);
}

/// The value of `op` computed piece by piece: first by rows, then by parts of
/// at most `lanes` lanes. All the intermediate values of a piece fit in
/// registers; those of a whole tile would not.
static Value expandInPieces(OpBuilder &builder, Operation *op, bool fma,
                            bool scalef, int64_t lanes) {
  auto type = dyn_cast<VectorType>(op->getResult(0).getType());
  if (!type || type.isScalable() ||
      (type.getRank() == 1 && type.getNumElements() <= lanes))
    return expandMathFunction(builder, op, fma, scalef);
  Location loc = op->getLoc();
  bool rows = type.getRank() != 1;
  auto expandPiece = [&](ValueRange operands) -> Value {
    Operation *piece = cloneOn(builder, op, operands);
    Value value = expandInPieces(builder, piece, fma, scalef, lanes);
    piece->erase();
    return value;
  };
  if (type.getRank() == 0) {
    auto one = VectorType::get({1}, type.getElementType());
    SmallVector<Value, 2> operands;
    for (Value operand : op->getOperands())
      operands.push_back(
          vector::ShapeCastOp::create(builder, loc, one, operand));
    Value value = expandPiece(operands);
    return vector::ShapeCastOp::create(builder, loc, type, value);
  }
  Value result =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  int64_t size = type.getDimSize(0), step = rows ? 1 : lanes;
  for (int64_t at = 0; at < size; at += step) {
    int64_t count = std::min(step, size - at);
    SmallVector<Value, 2> operands;
    for (Value operand : op->getOperands()) {
      if (rows)
        operands.push_back(
            vector::ExtractOp::create(builder, loc, operand, at));
      else
        operands.push_back(vector::ExtractStridedSliceOp::create(
            builder, loc, operand, ArrayRef<int64_t>(at),
            ArrayRef<int64_t>(count), ArrayRef<int64_t>(1)));
    }
    Value value = expandPiece(operands);
    if (rows)
      result = vector::InsertOp::create(builder, loc, value, result, at);
    else
      result = vector::InsertStridedSliceOp::create(
          builder, loc, value, result, ArrayRef<int64_t>(at),
          ArrayRef<int64_t>(1));
  }
  return result;
}

/// The bits of both operands. As an operation of its own LLVM takes the sign from
/// wherever it came, through conversions: a double's for a half, which it then
/// converts by a function of compiler-rt that no artifact has.
static Value expandCopySign(OpBuilder &b, math::CopySignOp op) {
  Location loc = op.getLoc();
  Type type = op.getType();
  auto element = cast<FloatType>(getElementTypeOrSelf(type));
  Type bits = b.getIntegerType(element.getWidth());
  auto vector = dyn_cast<VectorType>(type);
  if (vector)
    bits = vector.clone(bits);
  auto constant = [&](const APInt &value) -> Value {
    TypedAttr attr = b.getIntegerAttr(getElementTypeOrSelf(bits), value);
    if (vector)
      attr = DenseElementsAttr::get(cast<ShapedType>(bits), attr);
    return arith::ConstantOp::create(b, loc, bits, attr);
  };
  auto part = [&](Value operand, const APInt &mask) -> Value {
    Value all = arith::BitcastOp::create(b, loc, bits, operand);
    return arith::AndIOp::create(b, loc, all, constant(mask));
  };
  APInt sign = APInt::getSignMask(element.getWidth());
  Value joined = arith::OrIOp::create(b, loc, part(op.getLhs(), ~sign),
                                      part(op.getRhs(), sign));
  return arith::BitcastOp::create(b, loc, type, joined);
}

namespace {
struct MathExpandFunctions
    : headrace::impl::MathExpandFunctionsBase<MathExpandFunctions> {
  using MathExpandFunctionsBase::MathExpandFunctionsBase;

  void runOnOperation() override {
    SmallVector<Operation *> worklist;
    getOperation()->walk([&](Operation *op) {
      if (isMathFunction(op))
        worklist.push_back(op);
    });
    for (Operation *op : worklist) {
      OpBuilder builder(op);
      Type element = getElementTypeOrSelf(op->getResult(0).getType());
      if (!isExpandable(op))
        continue;
      // Narrow types are computed in f32.
      int64_t bits = std::max(32u, element.getIntOrFloatBitWidth());
      int64_t lanes = std::max<int64_t>(1, vectorBits / bits);
      Value result = expandInPieces(builder, op, fma, scalef, lanes);
      op->getResult(0).replaceAllUsesWith(result);
      op->erase();
    }
    SmallVector<math::CopySignOp> signs;
    getOperation()->walk([&](math::CopySignOp op) { signs.push_back(op); });
    for (math::CopySignOp op : signs) {
      OpBuilder builder(op);
      op.getResult().replaceAllUsesWith(expandCopySign(builder, op));
      op.erase();
    }
  }
};
} // namespace
