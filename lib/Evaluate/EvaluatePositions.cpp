//===- EvaluatePositions.cpp - Positions and where they lie ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EvaluatePositions.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::evaluate;

SmallVector<int64_t> evaluate::getStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (int64_t d = static_cast<int64_t>(shape.size()) - 2; d >= 0; --d)
    strides[d] = strides[d + 1] * shape[d + 1];
  return strides;
}

LogicalResult evaluate::addExpr(AffineExpr expr, int64_t scale,
                                Address &address) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    address.coefficients[dim.getPosition()] += scale;
    return success();
  }
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    address.constant += scale * constant.getValue();
    return success();
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return failure();
  if (binary.getKind() == AffineExprKind::Add)
    return success(succeeded(addExpr(binary.getLHS(), scale, address)) &&
                   succeeded(addExpr(binary.getRHS(), scale, address)));
  if (binary.getKind() == AffineExprKind::Mul)
    if (auto factor = dyn_cast<AffineConstantExpr>(binary.getRHS()))
      return addExpr(binary.getLHS(), scale * factor.getValue(), address);
  return failure();
}

FailureOr<Address> evaluate::getAddress(AffineMap map,
                                        ArrayRef<int64_t> strides) {
  Address address;
  address.coefficients.assign(map.getNumDims(), 0);
  for (auto [expr, stride] : llvm::zip(map.getResults(), strides))
    if (failed(addExpr(expr, stride, address)))
      return failure();
  return address;
}
