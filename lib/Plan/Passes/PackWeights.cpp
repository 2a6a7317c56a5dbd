//===- PackWeights.cpp - Operands in the order of their reader ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "PackWeights.h"

#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Plan/Access.h"
#include "headrace/Support/WeightStore.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

void headrace::copyOperand(linalg::LinalgOp contraction, unsigned operand) {
  OpBuilder b(contraction);
  OpOperand *use = contraction.getDpsInputOperand(operand);
  Value value = use->get();
  SmallVector<SizeExpr> dims = *hr::getDims(value);
  auto type = cast<RankedTensorType>(value.getType());
  Value empty = hr::createEmpty(b, contraction.getLoc(), dims,
                                type.getElementType());
  AffineMap map = b.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> iterators(type.getRank(),
                                             utils::IteratorType::parallel);
  auto copy = linalg::GenericOp::create(
      b, contraction.getLoc(), empty.getType(), value, empty,
      ArrayRef<AffineMap>{map, map}, iterators,
      [](OpBuilder &nested, Location at, ValueRange args) {
        linalg::YieldOp::create(nested, at, args[0]);
      });
  use->set(copy.getResult(0));
}

namespace {
class WeightPacker {
public:
  WeightPacker(hr::StageOp stage, const Packing &packing,
               const StridedView &view);
  LogicalResult run();

private:
  /// The name of a weight in this layout.
  std::string getName(StringRef weight) const;
  LogicalResult pack(FlatSymbolRefAttr ref, StringRef layout);
  void unpack(ArrayRef<Attribute> names);

  hr::StageOp stage;
  const Packing &packing;
  const StridedView &view;
  linalg::LinalgOp contraction;
  OpOperand *use;
  ModuleOp module;
  WeightStore &store;
  hr::ConstantOp constant;
  RankedTensorType type, packedType;
  /// The dimensions of the weight, that of the panels first.
  SmallVector<int64_t> permutation;
};
} // namespace

LogicalResult headrace::packWeight(hr::StageOp stage, const Packing &packing) {
  linalg::LinalgOp contraction = packing.contraction;
  FailureOr<StridedView> view =
      getStridedView(contraction.getDpsInputOperand(packing.operand)->get());
  if (failed(view) || !isa<BlockArgument>(view->base))
    return failure();
  return WeightPacker(stage, packing, *view).run();
}

WeightPacker::WeightPacker(hr::StageOp stage, const Packing &packing,
                           const StridedView &view)
    : stage(stage), packing(packing), view(view),
      contraction(packing.contraction),
      use(contraction.getDpsInputOperand(packing.operand)),
      module(stage->getParentOfType<ModuleOp>()),
      store(stage.getContext()
                ->getOrLoadDialect<hr::HRDialect>()
                ->getWeights()),
      constant(stage.getInputs()[cast<BlockArgument>(view.base).getArgNumber()]
                   .getDefiningOp<hr::ConstantOp>()),
      type(cast<RankedTensorType>(use->get().getType())) {
  // [panels][the other dimensions in the order of the loops][panel][group]
  AffineMap map = contraction.getMatchingIndexingMap(use);
  auto loopOf = [&](int64_t d) {
    auto loop = dyn_cast<AffineDimExpr>(map.getResult(d));
    return loop ? loop.getPosition() : 0;
  };
  for (unsigned d = 0; d < type.getRank(); ++d)
    if (d != packing.dim)
      permutation.push_back(d);
  llvm::stable_sort(permutation, [&](int64_t a, int64_t b) {
    return loopOf(a) < loopOf(b);
  });
  SmallVector<int64_t> shape{static_cast<int64_t>(
      llvm::divideCeil(type.getDimSize(packing.dim), packing.panel))};
  for (int64_t d : permutation)
    shape.push_back(packing.group > 1 && d == int64_t(packing.groupDim)
                        ? llvm::divideCeil(type.getDimSize(d), packing.group)
                        : type.getDimSize(d));
  permutation.insert(permutation.begin(), packing.dim);
  shape.push_back(packing.panel);
  if (packing.group > 1)
    shape.push_back(packing.group);
  packedType = RankedTensorType::get(shape, type.getElementType());
}

LogicalResult WeightPacker::run() {
  SmallVector<Attribute> names;
  for (auto ref : constant.getWeights().getAsRange<FlatSymbolRefAttr>()) {
    std::string layout = getName(ref.getValue());
    names.push_back(FlatSymbolRefAttr::get(stage.getContext(), layout));
    if (!module.lookupSymbol<hr::WeightOp>(layout) &&
        failed(pack(ref, layout)))
      return failure();
  }
  unpack(names);
  return success();
}

std::string WeightPacker::getName(StringRef weight) const {
  std::string layout;
  llvm::raw_string_ostream os(layout);
  os << weight << "/panels" << packing.panel << "of";
  llvm::interleave(permutation, os, "_");
  if (packing.group > 1)
    os << "by" << packing.group << "of" << packing.groupDim;
  if (int64_t offset = *view.offset.getConstant())
    os << "at" << offset;
  // Under a view, the same dimensions can be others.
  if (view.base.getType() != type) {
    os << "as";
    llvm::interleave(type.getShape(), os, "x");
    os << "in";
    llvm::interleave(
        view.strides,
        [&](const SizeExpr &stride) { os << *stride.getConstant(); },
        [&] { os << "_"; });
  }
  return layout;
}

LogicalResult WeightPacker::pack(FlatSymbolRefAttr ref, StringRef layout) {
  FailureOr<WeightStore::Bytes> bytes = store.read(ref.getValue());
  if (failed(bytes))
    return stage.emitError()
           << "the bytes of weight '" << ref.getValue() << "' are missing";
  SmallVector<int64_t> strides;
  for (const SizeExpr &stride : view.strides)
    strides.push_back(*stride.getConstant());
  int64_t offset = *view.offset.getConstant();
  int64_t width = getElementBytes(type.getElementType());
  ArrayRef<int64_t> shape = packedType.getShape();
  int64_t rank = shape.size(), numOuter = permutation.size();
  std::vector<char> packed(packedType.getNumElements() * width, 0);
  // Walk the packed order; padding stays zero.
  SmallVector<int64_t> index(rank, 0);
  for (int64_t at = 0; at < packedType.getNumElements(); ++at) {
    int64_t inDim = index[0] * packing.panel + index[numOuter];
    bool exists = inDim < type.getDimSize(packing.dim);
    int64_t from = offset + inDim * strides[packing.dim];
    for (int64_t d = 1; d < numOuter; ++d) {
      int64_t inOther = index[d];
      if (packing.group > 1 && permutation[d] == int64_t(packing.groupDim)) {
        inOther = inOther * packing.group + index[rank - 1];
        exists &= inOther < type.getDimSize(packing.groupDim);
      }
      from += inOther * strides[permutation[d]];
    }
    if (exists)
      std::memcpy(packed.data() + at * width,
                  bytes->data.data() + from * width, width);
    for (int64_t d = rank - 1; d >= 0; --d) {
      if (++index[d] < shape[d])
        break;
      index[d] = 0;
    }
  }
  store.addOwned(layout, packedType, std::move(packed));
  store.release(ref.getValue());
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  if (auto old = module.lookupSymbol<hr::WeightOp>(ref))
    b.setInsertionPointAfter(old);
  auto weight =
      hr::WeightOp::create(b, constant.getLoc(), layout, packedType);
  std::string text = "panels of " + std::to_string(packing.panel) +
                     " along dimension " + std::to_string(packing.dim);
  weight->setAttr("hr.layout", b.getStringAttr(text));
  weight->setAttr("hr.repacked_from", b.getStringAttr(ref.getValue()));
  weight->setAttr("hr.reason",
                  b.getStringAttr("read along the lanes of a vector"));
  contraction.emitRemark("stores weight '")
      << ref.getValue() << "' in " << text << ", as stage '"
      << stage.getSymName() << "' reads it";
  return success();
}

void WeightPacker::unpack(ArrayRef<Attribute> names) {
  OpBuilder b(stage);
  auto packed =
      hr::ConstantOp::create(b, constant.getLoc(), packedType,
                             b.getArrayAttr(names), constant.getIndex());
  // Its index may be defined after...: constants stand where the old one did.
  packed->moveAfter(constant);
  stage.getInputsMutable().append(packed.getResult());
  Value arg = stage.getBody().front().addArgument(packedType,
                                                  constant.getLoc());
  b.setInsertionPoint(contraction);
  SmallVector<OpFoldResult> tiles{b.getIndexAttr(packing.panel)};
  SmallVector<int64_t> tiledDims{int64_t(packing.dim)};
  if (packing.group > 1) {
    tiles.push_back(b.getIndexAttr(packing.group));
    tiledDims.push_back(packing.groupDim);
  }
  Value empty = tensor::EmptyOp::create(b, contraction.getLoc(),
                                        type.getShape(),
                                        type.getElementType());
  auto unpack = linalg::UnPackOp::create(b, contraction.getLoc(), arg, empty,
                                         tiledDims, tiles, permutation);
  use->set(unpack.getResult());
}
