//===- HROps.cpp - The hr dialect: verifiers, folders ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Dialect/HR/HR.h"
#include "headrace/Dialect/HR/HRUtils.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::hr;

#define GET_OP_CLASSES
#include "headrace/Dialect/HR/HROps.cpp.inc"

//===----------------------------------------------------------------------===//
// Shared checks
//===----------------------------------------------------------------------===//

/// `dims` lists one size per dimension of `type`, constant exactly where the
/// type is static, and equal to it there.
static LogicalResult verifyDims(Operation *op, ArrayAttr dims,
                                RankedTensorType type, StringRef what) {
  if (static_cast<int64_t>(dims.size()) != type.getRank())
    return op->emitOpError() << "expected " << type.getRank() << " " << what
                             << " for " << type << " but got " << dims.size();
  for (auto [d, attr] : llvm::enumerate(dims)) {
    std::optional<int64_t> size = cast<SizeAttr>(attr).getExpr().getConstant();
    int64_t expected = size ? *size : ShapedType::kDynamic;
    if (type.getDimSize(d) != expected)
      return op->emitOpError()
             << "dimension " << d << " of " << type << " does not match size '"
             << cast<SizeAttr>(attr).getText() << "'";
  }
  return success();
}

/// A linear map (no constant terms, no symbols) with the given arity.
static LogicalResult verifyLinearMap(Operation *op, AffineMap map,
                                     int64_t numDims, int64_t numResults) {
  if (map.getNumDims() != numDims || map.getNumResults() != numResults ||
      map.getNumSymbols() != 0)
    return op->emitOpError() << "expected a map from " << numDims << " to "
                             << numResults << " dimensions but got "
                             << AffineMapAttr::get(map);
  SmallVector<AffineExpr> zeros(
      numDims, getAffineConstantExpr(0, op->getContext()));
  for (AffineExpr expr : map.getResults()) {
    if (!expr.isPureAffine() ||
        simplifyAffineExpr(expr.replaceDims(zeros), 0, 0) !=
            getAffineConstantExpr(0, op->getContext()))
      return op->emitOpError()
             << "expected linear expressions without a constant but got "
             << AffineMapAttr::get(map);
  }
  return success();
}

/// The symbols name declared weights or states of the op's type.
template <typename DeclOp>
static LogicalResult verifyStack(Operation *op, ArrayAttr symbols, Value index,
                                 Type type) {
  if (symbols.empty())
    return op->emitOpError() << "expected at least one symbol";
  if (symbols.size() > 1 && !index)
    return op->emitOpError() << "expected an index to select one of "
                             << symbols.size() << " symbols";
  for (Attribute attr : symbols) {
    auto ref = cast<FlatSymbolRefAttr>(attr);
    auto decl = SymbolTable::lookupNearestSymbolFrom<DeclOp>(op, ref);
    if (!decl)
      return op->emitOpError() << "no " << DeclOp::getOperationName()
                               << " is named " << ref;
    if (decl.getType() != type)
      return op->emitOpError() << ref << " has type " << decl.getType()
                               << " but " << type << " is expected";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Weights, state, sizes
//===----------------------------------------------------------------------===//

LogicalResult ConstantOp::verify() {
  return verifyStack<WeightOp>(*this, getWeights(), getIndex(), getType());
}
LogicalResult ReadStateOp::verify() {
  return verifyStack<StateOp>(*this, getStates(), getIndex(), getType());
}
LogicalResult WriteStateOp::verify() {
  return verifyStack<StateOp>(*this, getStates(), getIndex(),
                              getValue().getType());
}

OpFoldResult SizeOp::fold(FoldAdaptor) {
  if (std::optional<int64_t> size = getSize().getExpr().getConstant())
    return IntegerAttr::get(IndexType::get(getContext()), *size);
  return {};
}

//===----------------------------------------------------------------------===//
// Views and data movement
//===----------------------------------------------------------------------===//

LogicalResult ReshapeOp::verify() {
  if (failed(verifyDims(*this, getDims(), getType(), "sizes")))
    return failure();
  RankedTensorType source = getSource().getType();
  if (source.getElementType() != getType().getElementType())
    return emitOpError() << "element types differ: " << source << " and "
                         << getType();
  if (source.hasStaticShape() && getType().hasStaticShape() &&
      source.getNumElements() != getType().getNumElements())
    return emitOpError() << "expected " << source.getNumElements()
                         << " elements but got "
                         << getType().getNumElements();
  return success();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (auto inner = getSource().getDefiningOp<ReshapeOp>()) {
    getSourceMutable().assign(inner.getSource());
    return getResult();
  }
  if (getSource().getType() != getType())
    return {};
  if (getType().hasStaticShape())
    return getSource();
  FailureOr<SmallVector<SizeExpr>> from = hr::getDims(getSource());
  if (succeeded(from) && *from == getSizes(getDims()))
    return getSource();
  return {};
}

LogicalResult ViewOp::verify() {
  RankedTensorType source = getSource().getType();
  if (source.getElementType() != getType().getElementType())
    return emitOpError() << "element types differ: " << source << " and "
                         << getType();
  if (static_cast<int64_t>(getOffsets().size()) != source.getRank())
    return emitOpError() << "expected " << source.getRank()
                         << " offsets but got " << getOffsets().size();
  if (failed(verifyDims(*this, getDims(), getType(), "sizes")))
    return failure();
  return verifyLinearMap(*this, getMap(), getType().getRank(),
                         source.getRank());
}

static bool allZero(ArrayAttr sizes) {
  return llvm::all_of(sizes, [](Attribute attr) {
    return cast<SizeAttr>(attr).getText() == "0";
  });
}

OpFoldResult ViewOp::fold(FoldAdaptor) {
  if (getMap().isIdentity() && allZero(getOffsets()) &&
      getSource().getType() == getType()) {
    if (getType().hasStaticShape())
      return getSource();
    FailureOr<SmallVector<SizeExpr>> from = hr::getDims(getSource());
    if (succeeded(from) && *from == getSizes(getDims()))
      return getSource();
  }
  return {};
}

/// view(view(x)) is one view: offsets add up through the outer map, which is
/// linear with constant coefficients, so symbolic offsets stay expressible.
static LogicalResult composeViews(ViewOp op, PatternRewriter &rewriter) {
  auto inner = op.getSource().getDefiningOp<ViewOp>();
  if (!inner)
    return failure();
  AffineMap innerMap = inner.getMap();
  AffineMap map = innerMap.compose(op.getMap());
  SmallVector<SizeExpr> offsets = getSizes(inner.getOffsets());
  SmallVector<SizeExpr> outer = getSizes(op.getOffsets());
  MLIRContext *context = op.getContext();
  for (auto [d, expr] : llvm::enumerate(innerMap.getResults())) {
    for (unsigned k = 0; k < innerMap.getNumDims(); ++k) {
      // The coefficient of dimension k in a linear expression is its value at
      // the k-th unit vector.
      SmallVector<AffineExpr> unit(innerMap.getNumDims(),
                                   getAffineConstantExpr(0, context));
      unit[k] = getAffineConstantExpr(1, context);
      auto value = dyn_cast<AffineConstantExpr>(
          simplifyAffineExpr(expr.replaceDims(unit), 0, 0));
      if (!value)
        return failure();
      offsets[d] = offsets[d] + outer[k] * SizeExpr(value.getValue());
    }
  }
  rewriter.replaceOpWithNewOp<ViewOp>(
      op, op.getType(), inner.getSource(),
      getSizeArrayAttr(context, offsets), AffineMapAttr::get(map),
      op.getDims());
  return success();
}

void ViewOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                         MLIRContext *context) {
  patterns.add(composeViews);
}

LogicalResult UpdateOp::verify() {
  RankedTensorType base = getBase().getType();
  RankedTensorType value = getValue().getType();
  if (base.getElementType() != value.getElementType())
    return emitOpError() << "element types differ: " << base << " and "
                         << value;
  if (static_cast<int64_t>(getOffsets().size()) != base.getRank())
    return emitOpError() << "expected " << base.getRank()
                         << " offsets but got " << getOffsets().size();
  return verifyLinearMap(*this, getMap(), value.getRank(), base.getRank());
}

LogicalResult ConcatOp::verify() {
  if (failed(verifyDims(*this, getDims(), getType(), "sizes")))
    return failure();
  int64_t dim = getDim();
  if (dim < 0 || dim >= getType().getRank())
    return emitOpError() << "dimension " << dim << " is not in [0, "
                         << getType().getRank() << ")";
  for (Value input : getInputs()) {
    auto type = cast<RankedTensorType>(input.getType());
    if (type.getRank() != getType().getRank() ||
        type.getElementType() != getType().getElementType())
      return emitOpError() << "input " << type << " does not fit result "
                           << getType();
  }
  return success();
}

LogicalResult PadOp::verify() {
  if (failed(verifyDims(*this, getDims(), getType(), "sizes")))
    return failure();
  int64_t rank = getSource().getType().getRank();
  if (rank != getType().getRank() ||
      static_cast<int64_t>(getLow().size()) != rank ||
      static_cast<int64_t>(getHigh().size()) != rank)
    return emitOpError() << "expected " << rank << " low and high sizes but got "
                         << getLow().size() << " and " << getHigh().size();
  if (getValue().getType() != getType().getElementType())
    return emitOpError() << "value of type " << getValue().getType()
                         << " does not fit " << getType();
  return success();
}

LogicalResult CheckOp::verify() {
  if (!getRange().empty() && getRange().size() != 2)
    return emitOpError() << "expected a number and its bound but got "
                         << getRange().size() << " numbers";
  return success();
}

OpFoldResult CheckOp::fold(FoldAdaptor adaptor) {
  auto holds = dyn_cast_or_null<IntegerAttr>(adaptor.getHolds());
  return holds && holds.getValue().isOne() ? getValue() : Value();
}

/// What gather and scatter have in common: how a point of the iteration space
/// becomes a position in `target`.
static LogicalResult verifyIndexing(Operation *op, RankedTensorType target,
                                    int64_t iterationRank, AffineMap sourceMap,
                                    ArrayAttr indexMaps,
                                    ArrayRef<int64_t> sourceDims,
                                    OperandRange indices) {
  if (static_cast<int64_t>(sourceDims.size()) != target.getRank())
    return op->emitOpError() << "expected " << target.getRank()
                             << " source_dims but got " << sourceDims.size();
  for (int64_t index : sourceDims)
    if (index < -1 || index >= static_cast<int64_t>(indices.size()))
      return op->emitOpError() << "source_dims names index " << index
                               << " of " << indices.size();
  if (indexMaps.size() != indices.size())
    return op->emitOpError() << "expected " << indices.size()
                             << " index maps but got " << indexMaps.size();
  for (auto [attr, index] : llvm::zip(indexMaps, indices)) {
    auto type = cast<RankedTensorType>(index.getType());
    if (!type.getElementType().isSignlessInteger())
      return op->emitOpError() << "expected integer indices but got " << type;
    AffineMap map = cast<AffineMapAttr>(attr).getValue();
    if (map.getNumDims() != iterationRank ||
        map.getNumResults() != type.getRank())
      return op->emitOpError() << "index map " << AffineMapAttr::get(map) << " does not fit "
                               << type;
  }
  if (sourceMap.getNumDims() != iterationRank ||
      sourceMap.getNumResults() != target.getRank())
    return op->emitOpError() << "map " << AffineMapAttr::get(sourceMap) << " does not fit "
                             << target;
  return success();
}

LogicalResult GatherOp::verify() {
  if (failed(verifyDims(*this, getDims(), getType(), "sizes")))
    return failure();
  if (getSource().getType().getElementType() != getType().getElementType())
    return emitOpError() << "element types differ: " << getSource().getType()
                         << " and " << getType();
  return verifyIndexing(*this, getSource().getType(), getType().getRank(),
                        getSourceMap(), getIndexMaps(), getSourceDims(),
                        getIndices());
}

LogicalResult ScatterOp::verify() {
  if (getBase().getType() != getType())
    return emitOpError() << "result " << getType() << " is not the base's type "
                         << getBase().getType();
  if (getUpdates().getType().getElementType() != getType().getElementType())
    return emitOpError() << "element types differ: " << getUpdates().getType()
                         << " and " << getType();
  return verifyIndexing(*this, getType(), getUpdates().getType().getRank(),
                        getSourceMap(), getIndexMaps(), getSourceDims(),
                        getIndices());
}

//===----------------------------------------------------------------------===//
// Streamed reductions
//===----------------------------------------------------------------------===//

LogicalResult SoftmaxSumOp::verify() {
  if (failed(verifyDims(*this, getDims(), getType(), "sizes")))
    return failure();
  if (getMaps().size() != 3)
    return emitOpError() << "expected 3 maps but got " << getMaps().size();
  SmallVector<AffineMap> maps = llvm::to_vector(
      getMaps().getAsValueRange<AffineMapAttr>());
  RankedTensorType types[] = {getLogits().getType(), getValue().getType(),
                              getType()};
  unsigned rank = maps[0].getNumDims();
  for (auto [map, type] : llvm::zip(maps, types)) {
    if (!map.isProjectedPermutation() || map.getNumDims() != rank ||
        map.getNumResults() != type.getRank())
      return emitOpError() << "map " << AffineMapAttr::get(map)
                           << " is not a projected permutation onto " << type;
  }
  SmallVector<unsigned> streamed;
  for (unsigned d = 0; d < rank; ++d)
    if (!maps[2].isFunctionOfDim(d))
      streamed.push_back(d);
  if (streamed.size() != 1 || !maps[0].isFunctionOfDim(streamed[0]) ||
      !maps[1].isFunctionOfDim(streamed[0]))
    return emitOpError() << "expected one streamed dimension, in logits and "
                            "value but not in the result, but got "
                         << streamed.size();
  if (std::optional<Type> weights = getWeights();
      weights && !isa<FloatType>(*weights))
    return emitOpError() << "expected weights of a float type but got "
                         << *weights;
  return success();
}

LogicalResult ScanOp::verify() {
  if (getSource().getType() != getType())
    return emitOpError() << "result " << getType()
                         << " is not the source's type "
                         << getSource().getType();
  int64_t dim = getDim();
  if (dim < 0 || dim >= getType().getRank())
    return emitOpError() << "dimension " << dim << " is not in [0, "
                         << getType().getRank() << ")";
  return success();
}

LogicalResult SortOp::verify() {
  auto source = cast<RankedTensorType>(getSource().getType());
  if (getType().getShape() != source.getShape() ||
      !getType().getElementType().isInteger(64))
    return emitOpError() << "result " << getType()
                         << " is not of the source's shape with elements i64: "
                         << source;
  int64_t dim = getDim();
  if (dim < 0 || dim >= source.getRank())
    return emitOpError() << "dimension " << dim << " is not in [0, "
                         << source.getRank() << ")";
  return success();
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

LogicalResult RepeatOp::verify() {
  if (static_cast<int64_t>(getCount()) < 1)
    return emitOpError() << "expected a positive count but got " << getCount();
  Block &block = getBody().front();
  if (block.getNumArguments() != 1 + getInits().size() ||
      !block.getArgument(0).getType().isIndex())
    return emitOpError() << "expected an index and " << getInits().size()
                         << " carried block arguments but got "
                         << block.getNumArguments() << " arguments";
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield.getValues().size() != getInits().size() ||
      getNumResults() != getInits().size())
    return emitOpError() << "expected to yield and return "
                         << getInits().size() << " carried values";
  for (unsigned i = 0; i < getInits().size(); ++i) {
    Type type = getInits()[i].getType();
    if (block.getArgument(i + 1).getType() != type ||
        yield.getValues()[i].getType() != type ||
        getResult(i).getType() != type)
      return emitOpError() << "carried value " << i
                           << " changes its type from " << type;
  }
  return success();
}

LogicalResult StageOp::verify() {
  Block &block = getBody().front();
  if (block.getArgumentTypes() != getInputs().getTypes())
    return emitOpError() << "block arguments do not match the inputs";
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield.getValues().getTypes() != getResultTypes())
    return emitOpError() << "yielded values do not match the results";
  return success();
}

LogicalResult BufferOp::verify() {
  bool named = getKind() == BufferKind::Const || getKind() == BufferKind::State;
  bool numbered =
      getKind() == BufferKind::Input || getKind() == BufferKind::Output;
  if (named != getSymbols().has_value())
    return emitOpError() << "symbols belong to const and state buffers";
  if (numbered != getNumber().has_value())
    return emitOpError() << "a number belongs to input and output buffers";
  if (getSlots() < 1)
    return emitOpError() << "expected at least one slot but got "
                         << getSlots();
  if (named && getSlots() != getSymbols()->size())
    return emitOpError() << "expected " << getSymbols()->size()
                         << " slots, one per symbol, but got " << getSlots();
  return success();
}

LogicalResult RunOp::verify() {
  size_t count = getOperands_().size();
  if (getAccess().size() != count || getSlots().size() != count ||
      getFootprints().size() != count)
    return emitOpError() << "expected access, slots and footprints for "
                         << count << " operands but got "
                         << getAccess().size() << ", " << getSlots().size()
                         << " and " << getFootprints().size();
  if (std::optional<ArrayRef<int64_t>> keeps = getKeeps())
    for (int64_t k : *keeps)
      if (k < 0 || k >= int64_t(count) ||
          cast<AccessAttr>(getAccess()[k]).getValue() == Access::Read)
        return emitOpError() << "keeps operand " << k
                             << ", which it does not write";
  for (auto [i, operand] : llvm::enumerate(getOperands_())) {
    auto buffer = operand.getDefiningOp<BufferOp>();
    if (!buffer)
      return emitOpError() << "operand " << i << " is not an hr.buffer";
    AffineMap slot = cast<AffineMapAttr>(getSlots()[i]).getValue();
    if (slot.getNumResults() != 1 || slot.getNumDims() > 1 ||
        slot.getNumSymbols() != 0)
      return emitOpError() << "the slot of operand " << i
                           << " is not one map of the iteration: "
                           << getSlots()[i];
    auto access = cast<AccessAttr>(getAccess()[i]).getValue();
    if (access != Access::Read && (buffer.getKind() == BufferKind::Input ||
                                   buffer.getKind() == BufferKind::Const))
      return emitOpError() << "operand " << i << " is written, but it is "
                           << (buffer.getKind() == BufferKind::Input
                                   ? "an input"
                                   : "a constant");
    auto print = cast<FootprintAttr>(getFootprints()[i]);
    if (print.isWhole())
      continue;
    if (print.getOrigin().getNumDims() != getGrid().size() ||
        print.getOrigin().getNumResults() != buffer.getDims().size() ||
        print.getExtent().size() != buffer.getDims().size())
      return emitOpError() << "footprint of operand " << i << " maps "
                           << print.getOrigin().getNumDims() << " to "
                           << print.getOrigin().getNumResults()
                           << " dimensions, expected " << getGrid().size()
                           << " to " << buffer.getDims().size();
  }
  return success();
}

LogicalResult LoopOp::verify() {
  if (int64_t(getCount()) < 1)
    return emitOpError() << "expected at least one iteration but got "
                         << int64_t(getCount());
  for (Operation &op : getBody().front())
    if (!isa<RunOp>(op))
      return op.emitOpError() << "is not a run, and a loop has no other place "
                                 "for it";
  return success();
}

//===----------------------------------------------------------------------===//
// Atoms
//===----------------------------------------------------------------------===//

LogicalResult GroupDotOp::verify() {
  auto operand = cast<VectorType>(getLhs().getType());
  auto sum = cast<VectorType>(getAcc().getType());
  if (operand.getRank() != 1 || sum.getRank() != 1 ||
      operand.getDimSize(0) % sum.getDimSize(0) != 0)
    return emitOpError() << "expected a whole number of lanes of " << operand
                         << " per lane of " << sum;
  return success();
}

LogicalResult GroupRoundOp::verify() {
  auto result = cast<VectorType>(getType());
  for (Type type : getParts().getTypes()) {
    auto part = cast<VectorType>(type);
    if (type != getParts().front().getType() || part.getRank() != 1 ||
        part.getNumElements() * int64_t(getParts().size()) !=
            result.getNumElements())
      return emitOpError() << "expected parts of one type that together make "
                           << result << " but got " << part;
  }
  if (getParts().empty())
    return emitOpError() << "expected parts";
  return success();
}

LogicalResult FragmentMultiplyOp::verify() {
  FragmentType lhs = getLhs().getType(), rhs = getRhs().getType(),
               acc = getAcc().getType();
  if (lhs.getRows() != acc.getRows() ||
      lhs.getColumns() * acc.getColumns() !=
          rhs.getRows() * rhs.getColumns())
    return emitOpError() << "shapes do not multiply: " << lhs << " and " << rhs
                         << " into " << acc;
  return success();
}
