//===- LinearIndex.cpp - Integer scalars as linear forms of indices -------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LinearIndex.h"

using namespace mlir;
using namespace headrace;

LinearIndex LinearIndex::operator-(const LinearIndex &rhs) const {
  LinearIndex result{constant - rhs.constant, coefficients};
  for (auto [c, other] : llvm::zip(result.coefficients, rhs.coefficients))
    c -= other;
  return result;
}

std::pair<SizeExpr, SizeExpr>
LinearIndex::bounds(ArrayRef<SizeExpr> loops) const {
  SizeExpr least = constant, largest = constant;
  for (auto [c, extent] : llvm::zip(coefficients, loops)) {
    SizeExpr reach = (extent - SizeExpr(1)) * SizeExpr(c);
    (c < 0 ? least : largest) = (c < 0 ? least : largest) + reach;
  }
  return {least, largest};
}

/// Bodies are straight lines, but their length is the input's choice.
static constexpr unsigned maxDepth = 32;

static std::optional<LinearIndex> getLinear(Value scalar, linalg::GenericOp op,
                                            unsigned depth) {
  unsigned rank = op.getNumLoops();
  auto constant = [&](const SizeExpr &value) {
    return LinearIndex{value, SmallVector<int64_t>(rank, 0)};
  };
  APInt number;
  if (matchPattern(scalar, m_ConstantInt(&number))) {
    if (number.getBitWidth() == 1)
      return std::nullopt;
    return constant(number.getSExtValue());
  }
  if (auto argument = dyn_cast<BlockArgument>(scalar)) {
    if (argument.getOwner() != op.getBody())
      return std::nullopt;
    Attribute splat =
        getSplat(op->getOperand(argument.getArgNumber()));
    auto integer = dyn_cast_or_null<IntegerAttr>(splat);
    if (!integer || !op.isDpsInput(&op->getOpOperand(argument.getArgNumber())))
      return std::nullopt;
    return constant(integer.getInt());
  }
  Operation *def = scalar.getDefiningOp();
  if (!def || depth == maxDepth)
    return std::nullopt;
  if (auto size = dyn_cast<hr::SizeOp>(def))
    return constant(size.getSize().getExpr());
  if (auto index = dyn_cast<linalg::IndexOp>(def)) {
    if (def->getParentOp() != op)
      return std::nullopt;
    LinearIndex result = constant(0);
    result.coefficients[index.getDim()] = 1;
    return result;
  }

  auto operand = [&](unsigned n) {
    return getLinear(def->getOperand(n), op, depth + 1);
  };
  std::optional<LinearIndex> result;
  if (isa<arith::IndexCastOp, arith::ExtSIOp, arith::TruncIOp>(def)) {
    result = operand(0);
  } else if (isa<arith::AddIOp, arith::SubIOp>(def)) {
    std::optional<LinearIndex> lhs = operand(0), rhs = operand(1);
    if (!lhs || !rhs)
      return std::nullopt;
    if (isa<arith::SubIOp>(def)) {
      result = *lhs - *rhs;
    } else {
      result = lhs;
      result->constant = result->constant + rhs->constant;
      for (auto [c, other] :
           llvm::zip(result->coefficients, rhs->coefficients))
        c += other;
    }
  } else if (isa<arith::MulIOp>(def)) {
    std::optional<LinearIndex> lhs = operand(0), rhs = operand(1);
    if (!lhs || !rhs)
      return std::nullopt;
    auto isConstant = [](const LinearIndex &form) {
      return form.constant.isConstant() &&
             llvm::all_of(form.coefficients,
                          [](int64_t c) { return c == 0; });
    };
    if (isConstant(*lhs))
      std::swap(lhs, rhs);
    if (!isConstant(*rhs))
      return std::nullopt;
    int64_t factor = *rhs->constant.getConstant();
    result = lhs;
    result->constant = result->constant * SizeExpr(factor);
    for (int64_t &c : result->coefficients)
      c *= factor;
  }
  if (!result)
    return std::nullopt;
  // In a narrow type the value must fit, or the form is not what is computed.
  Type type = scalar.getType();
  if (type.isIndex() || type.getIntOrFloatBitWidth() >= 64)
    return result;
  FailureOr<Sizes> loops = getLoopSizes(op);
  if (failed(loops))
    return std::nullopt;
  auto [least, largest] = result->bounds(*loops);
  SymbolRanges ranges = getRangesAround(op);
  int64_t limit = int64_t(1) << (type.getIntOrFloatBitWidth() - 1);
  if (!SizeExpr(-limit).isLessEqual(least, ranges) ||
      !largest.isLessEqual(SizeExpr(limit - 1), ranges))
    return std::nullopt;
  return result;
}

std::optional<LinearIndex> headrace::getLinearIndex(Value scalar,
                                                    linalg::GenericOp op) {
  return getLinear(scalar, op, 0);
}
