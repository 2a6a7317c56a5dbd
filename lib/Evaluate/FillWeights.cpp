//===- FillWeights.cpp - Reproducible bytes for tests ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// hr-fill-weights: textual IR names weights without bytes; tests need some.
//
//===----------------------------------------------------------------------===//

#include "EvaluateBody.h"
#include "RandomTensor.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Evaluate/Passes.h"

using namespace mlir;
using namespace headrace;

namespace headrace {
#define GEN_PASS_DEF_FILLWEIGHTSPASS
#include "headrace/Evaluate/Passes.h.inc"
} // namespace headrace

HostTensor headrace::makeRandomTensor(RankedTensorType type,
                                      ArrayRef<int64_t> shape, StringRef seed,
                                      int64_t integers) {
  // SplitMix64, started from an FNV hash of the seed: the same on every host.
  uint64_t state = 1469598103934665603ull;
  for (char c : seed)
    state = (state ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  auto next = [&] {
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  };
  char *data;
  Type elementType = type.getElementType();
  HostTensor tensor = HostTensor::allocate(elementType, shape, data);
  int64_t width = getElementBytes(elementType);
  for (int64_t n = 0, e = tensor.getNumElements(); n < e; ++n) {
    evaluate::Cell cell;
    double uniform = static_cast<double>(next() >> 11) * 0x1p-52 - 1.0;
    if (elementType.isF64())
      cell.d = uniform;
    else if (isa<FloatType>(elementType))
      cell.f = static_cast<float>(uniform);
    else
      cell.i = static_cast<int64_t>(next() % static_cast<uint64_t>(integers));
    evaluate::store(elementType, &cell, 1, 1, data + n * width);
  }
  return tensor;
}

namespace {
struct FillWeights : headrace::impl::FillWeightsPassBase<FillWeights> {
  void runOnOperation() override {
    WeightStore &store =
        getContext().getOrLoadDialect<hr::HRDialect>()->getWeights();
    for (auto weight : getOperation().getOps<hr::WeightOp>()) {
      auto type = cast<RankedTensorType>(weight.getType());
      if (store.lookup(weight.getSymName()))
        continue;
      HostTensor tensor;
      if (auto value = weight->getAttrOfType<DenseElementsAttr>("hr.value")) {
        char *data;
        tensor = HostTensor::allocate(type.getElementType(), type.getShape(),
                                      data);
        int64_t width = getElementBytes(type.getElementType()), n = 0;
        for (Attribute element : value.getValues<Attribute>()) {
          evaluate::Cell cell = evaluate::fromAttribute(element);
          evaluate::store(type.getElementType(), &cell, 1, 1,
                          data + n++ * width);
        }
      } else {
        tensor = makeRandomTensor(type, type.getShape(), weight.getSymName(),
                                  /*integers=*/2);
      }
      store.addOwned(weight.getSymName(), type,
                     std::vector<char>(tensor.bytes.begin(),
                                       tensor.bytes.end()));
    }
  }
};
} // namespace
