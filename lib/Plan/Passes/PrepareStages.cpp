//===- PrepareStages.cpp - Makes every copy explicit before stages form ---===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// After this pass every value can be given a buffer without a hidden copy:
//
//   - hr.concat and hr.pad are updates of regions of one buffer;
//   - every view is a strided window on what a compute op stored: a reshape
//     that would need a copy reads an explicit one;
//   - an update or scatter writes in place: nobody reads its base afterwards;
//   - a state is written in place by the last update of what was read from it;
//   - results of entries and carried values of repeats are stored by compute
//     ops of their own.
//
//===----------------------------------------------------------------------===//

#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Plan/Passes.h"
#include "headrace/Plan/StageAnalysis.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace headrace {
#define GEN_PASS_DEF_PREPARESTAGESPASS
#include "headrace/Plan/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

/// An identity linalg.generic: the value stored anew.
static Value createCopy(OpBuilder &b, Location loc, Value value) {
  SmallVector<SizeExpr> dims = *hr::getDims(value);
  auto type = cast<RankedTensorType>(value.getType());
  Value empty = hr::createEmpty(b, loc, dims, type.getElementType());
  AffineMap map = b.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> iterators(type.getRank(),
                                             utils::IteratorType::parallel);
  auto copy = linalg::GenericOp::create(
      b, loc, empty.getType(), value, empty, ArrayRef<AffineMap>{map, map},
      iterators, [](OpBuilder &nested, Location at, ValueRange args) {
        linalg::YieldOp::create(nested, at, args[0]);
      });
  return copy.getResult(0);
}

static Value createFill(OpBuilder &b, Location loc, ArrayRef<SizeExpr> dims,
                        TypedAttr value) {
  Value empty = hr::createEmpty(b, loc, dims, value.getType());
  AffineMap map = b.getMultiDimIdentityMap(dims.size());
  SmallVector<utils::IteratorType> iterators(dims.size(),
                                             utils::IteratorType::parallel);
  auto fill = linalg::GenericOp::create(
      b, loc, empty.getType(), ValueRange{}, empty, ArrayRef<AffineMap>{map},
      iterators, [&](OpBuilder &nested, Location at, ValueRange) {
        Value scalar = arith::ConstantOp::create(nested, at, value);
        linalg::YieldOp::create(nested, at, scalar);
      });
  return fill.getResult(0);
}

/// Writes `value` at `base[offset along dim]`.
static Value createRegionUpdate(OpBuilder &b, Location loc, Value base,
                                Value value, ArrayRef<SizeExpr> offsets) {
  unsigned rank = cast<RankedTensorType>(base.getType()).getRank();
  return hr::UpdateOp::create(
      b, loc, base.getType(), base, value,
      hr::getSizeArrayAttr(b.getContext(), offsets),
      AffineMapAttr::get(b.getMultiDimIdentityMap(rank)));
}

static void lowerConcat(hr::ConcatOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  Value result = hr::createEmpty(b, loc, hr::getSizes(op.getDims()),
                                 op.getType().getElementType());
  SizeExpr at(0);
  for (Value input : op.getInputs()) {
    SmallVector<SizeExpr> offsets(op.getType().getRank(), SizeExpr(0));
    offsets[op.getDim()] = at;
    SmallVector<SizeExpr> dims = *hr::getDims(input);
    at = at + dims[op.getDim()];
    if (dims[op.getDim()] == SizeExpr(0))
      continue;
    result = createRegionUpdate(b, loc, result, input, offsets);
  }
  op.replaceAllUsesWith(result);
  op.erase();
}

static void lowerPad(hr::PadOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  Value base = createFill(b, loc, hr::getSizes(op.getDims()),
                          cast<TypedAttr>(op.getValue()));
  Value result = createRegionUpdate(b, loc, base, op.getSource(),
                                    hr::getSizes(op.getLow()));
  op.replaceAllUsesWith(result);
  op.erase();
}

/// A reshape whose source is not strided enough reads a copy.
static void materializeViews(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (!isViewLike(&op) || succeeded(getStridedView(op.getResult(0))))
      continue;
    OpBuilder b(&op);
    op.setOperand(0, createCopy(b, op.getLoc(), op.getOperand(0)));
  }
}

/// All users of `value`, through views, in this block.
static void collectReaders(Value value, SmallVectorImpl<Operation *> &readers) {
  for (Operation *user : value.getUsers()) {
    if (isViewLike(user))
      collectReaders(user->getResult(0), readers);
    else
      readers.push_back(user);
  }
}

static Operation *ancestorIn(Block &block, Operation *op) {
  return block.findAncestorOpInBlock(*op);
}

/// The chain of updates that turns what was read from a state into what `write`
/// writes to it, last first; nothing if there is none.
static std::optional<SmallVector<Operation *>>
getStateUpdates(hr::WriteStateOp write) {
  SmallVector<Operation *> updates;
  Value value = write.getValue();
  while (Operation *def = value.getDefiningOp()) {
    if (def->getBlock() != write->getBlock())
      break;
    if (auto read = dyn_cast<hr::ReadStateOp>(def)) {
      if (read.getStates() == write.getStates() &&
          read.getIndex() == write.getIndex())
        return updates;
      break;
    }
    if (auto update = dyn_cast<hr::UpdateOp>(def))
      value = update.getBase();
    else if (auto scatter = dyn_cast<hr::ScatterOp>(def))
      value = scatter.getBase();
    else
      break;
    updates.push_back(def);
  }
  return std::nullopt;
}

/// The base of an update must be a buffer that nobody reads afterwards.
static void privatizeBases(Block &block) {
  // These stay in the state's buffer; everything else stays out of it.
  DenseSet<Operation *> inState;
  for (auto write : block.getOps<hr::WriteStateOp>())
    if (auto updates = getStateUpdates(write))
      inState.insert(updates->begin(), updates->end());
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (!isa<hr::UpdateOp, hr::ScatterOp>(op))
      continue;
    unsigned at = isa<hr::UpdateOp>(op) ? 0 : 1;
    Value base = op.getOperand(at);
    Operation *def = base.getDefiningOp();
    bool ownable = def && def->getBlock() == &block && !inState.contains(def) &&
                   (isComputeOp(def) || isa<tensor::EmptyOp>(def));
    SmallVector<Operation *> readers;
    collectReaders(base, readers);
    bool readLater = llvm::any_of(readers, [&](Operation *reader) {
      Operation *here = ancestorIn(block, reader);
      return here != &op && !(here && here->isBeforeInBlock(&op));
    });
    // Also by this op itself, through its other operands.
    for (auto [i, operand] : llvm::enumerate(op.getOperands()))
      if (i != at && getViewBase(operand) == base)
        readLater = true;
    if (isa_and_nonnull<tensor::EmptyOp>(def) && readers.size() > 1) {
      // Uninitialized storage is cheap to have twice.
      OpBuilder b(&op);
      op.setOperand(at, b.clone(*def)->getResult(0));
      continue;
    }
    if (inState.contains(&op)) {
      if (!readLater)
        continue;
      // Those who need what was there before get a snapshot of it.
      OpBuilder b(def);
      b.setInsertionPointAfter(def);
      Value snapshot = createCopy(b, def->getLoc(), base);
      base.replaceUsesWithIf(snapshot, [&](OpOperand &use) {
        Operation *owner = use.getOwner();
        if (owner == snapshot.getDefiningOp() ||
            (owner == &op && use.getOperandNumber() == at))
          return false;
        SmallVector<Operation *> users;
        if (isViewLike(owner))
          collectReaders(owner->getResult(0), users);
        else
          users.push_back(owner);
        return llvm::any_of(users, [&](Operation *user) {
          Operation *here = ancestorIn(block, user);
          return here == &op || !here || !here->isBeforeInBlock(&op);
        });
      });
      continue;
    }
    if (ownable && !readLater)
      continue;
    OpBuilder b(&op);
    op.setOperand(at, createCopy(b, op.getLoc(), base));
  }
}

/// A state's new value is an update of what was read from it.
static void writeStatesInPlace(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto write = dyn_cast<hr::WriteStateOp>(op);
    if (!write)
      continue;
    if (getStateUpdates(write))
      continue;
    OpBuilder b(write);
    Location loc = write.getLoc();
    auto type = cast<RankedTensorType>(write.getValue().getType());
    // One value for what the state holds: whoever reads it reads what is
    // overwritten here.
    hr::ReadStateOp before;
    for (Operation &earlier : block) {
      if (&earlier == &op)
        break;
      if (auto other = dyn_cast<hr::WriteStateOp>(earlier);
          other && other.getStates() == write.getStates())
        before = nullptr;
      if (auto other = dyn_cast<hr::ReadStateOp>(earlier);
          other && other.getStates() == write.getStates() &&
          other.getIndex() == write.getIndex())
        before = other;
    }
    Value old = before ? before.getResult()
                       : hr::ReadStateOp::create(b, loc, type,
                                                 write.getStates(),
                                                 write.getIndex())
                             .getResult();
    SmallVector<SizeExpr> zeros(type.getRank(), SizeExpr(0));
    write.getValueMutable().assign(
        createRegionUpdate(b, loc, old, write.getValue(), zeros));
  }
}

/// Whether a compute op of this block stores the value just for its use here.
static bool isStoredHere(Value value, Block &block, DenseSet<Value> &taken,
                         bool allowReshape) {
  Value base = value;
  if (allowReshape)
    while (auto reshape = base.getDefiningOp<hr::ReshapeOp>())
      base = reshape.getSource();
  Operation *def = base.getDefiningOp();
  if (!def || def->getBlock() != &block || !isComputeOp(def))
    return false;
  // What ends up in a state's buffer is not free to be another's.
  Value root = base;
  while (Operation *op = root.getDefiningOp()) {
    if (auto update = dyn_cast<hr::UpdateOp>(op))
      root = update.getBase();
    else if (auto scatter = dyn_cast<hr::ScatterOp>(op))
      root = scatter.getBase();
    else
      break;
  }
  if (root.getDefiningOp<hr::ReadStateOp>())
    return false;
  // Two names for one buffer (or for two steps of its updates) need two.
  return taken.insert(root).second;
}

/// An update of a reshape that only drops or adds dimensions of size one is an
/// update of what was reshaped: so a state is reached and written in place.
static void updateUnderReshapes(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (!isa<hr::UpdateOp, hr::ScatterOp>(op))
      continue;
    unsigned at = isa<hr::UpdateOp>(op) ? 0 : 1;
    auto reshape = op.getOperand(at).getDefiningOp<hr::ReshapeOp>();
    if (!reshape)
      continue;
    Value source = reshape.getSource();
    FailureOr<SmallVector<SizeExpr>> from = hr::getDims(source);
    FailureOr<SmallVector<SizeExpr>> to = hr::getDims(reshape.getResult());
    if (failed(from) || failed(to))
      continue;
    // dimension of the source -> dimension of the reshape, -1 for a unit one.
    SmallVector<int64_t> match;
    size_t next = 0;
    bool same = true;
    auto skip = [&]() {
      while (next < to->size() && (*to)[next] == SizeExpr(1))
        ++next;
    };
    for (const SizeExpr &size : *from) {
      if (size == SizeExpr(1)) {
        match.push_back(-1);
        continue;
      }
      skip();
      same &= next < to->size() && (*to)[next] == size;
      match.push_back(next++);
    }
    skip();
    if (!same || next < to->size())
      continue;
    OpBuilder b(&op);
    MLIRContext *context = op.getContext();
    AffineMap map = isa<hr::UpdateOp>(op)
                        ? cast<hr::UpdateOp>(op).getMap()
                        : cast<hr::ScatterOp>(op).getSourceMap();
    SmallVector<AffineExpr> exprs;
    for (int64_t d : match)
      exprs.push_back(d < 0 ? getAffineConstantExpr(0, context)
                            : map.getResult(d));
    auto newMap = AffineMapAttr::get(
        AffineMap::get(map.getNumDims(), 0, exprs, context));
    Value result;
    if (auto update = dyn_cast<hr::UpdateOp>(op)) {
      SmallVector<SizeExpr> offsets = hr::getSizes(update.getOffsets());
      SmallVector<SizeExpr> newOffsets;
      for (int64_t d : match)
        newOffsets.push_back(d < 0 ? SizeExpr(0) : offsets[d]);
      result = hr::UpdateOp::create(b, op.getLoc(), source.getType(), source,
                                    update.getValue(),
                                    hr::getSizeArrayAttr(context, newOffsets),
                                    newMap);
    } else {
      auto scatter = cast<hr::ScatterOp>(op);
      SmallVector<int64_t> dims;
      for (int64_t d : match)
        dims.push_back(d < 0 ? -1 : scatter.getSourceDims()[d]);
      result = hr::ScatterOp::create(
          b, op.getLoc(), source.getType(), scatter.getUpdates(), source,
          scatter.getIndices(), scatter.getCombinerAttr(), newMap,
          scatter.getIndexMaps(), b.getDenseI64ArrayAttr(dims),
          scatter.getWhatAttr(), scatter.getWrapAttr());
    }
    Value back = hr::ReshapeOp::create(b, op.getLoc(),
                                       reshape.getResult().getType(), result,
                                       reshape.getDims());
    op.getResult(0).replaceAllUsesWith(back);
    op.erase();
    if (reshape.use_empty())
      reshape.erase();
  }
  // Reshapes there and back are nothing.
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto reshape = dyn_cast<hr::ReshapeOp>(op);
    if (!reshape)
      continue;
    if (auto inner = reshape.getSource().getDefiningOp<hr::ReshapeOp>())
      reshape.getSourceMutable().assign(inner.getSource());
    FailureOr<SmallVector<SizeExpr>> from = hr::getDims(reshape.getSource());
    if (reshape.getSource().getType() == reshape.getType() &&
        succeeded(from) && *from == hr::getSizes(reshape.getDims())) {
      reshape.getResult().replaceAllUsesWith(reshape.getSource());
      reshape.erase();
    }
  }
}

static LogicalResult prepareBlock(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block))
    if (auto repeat = dyn_cast<hr::RepeatOp>(op))
      if (failed(prepareBlock(repeat.getBody().front())))
        return failure();
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (auto concat = dyn_cast<hr::ConcatOp>(op))
      lowerConcat(concat);
    else if (auto pad = dyn_cast<hr::PadOp>(op))
      lowerPad(pad);
  }
  updateUnderReshapes(block);
  writeStatesInPlace(block);
  materializeViews(block);

  // Initial values of repeats: stored here, and read by nobody else, since the
  // first iteration's result takes their place.
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto repeat = dyn_cast<hr::RepeatOp>(op);
    if (!repeat)
      continue;
    OpBuilder b(repeat);
    DenseSet<Value> taken;
    for (OpOperand &init : repeat.getInitsMutable())
      if (!init.get().hasOneUse() ||
          !isStoredHere(init.get(), block, taken, /*allowReshape=*/false))
        init.set(createCopy(b, repeat.getLoc(), init.get()));
  }
  privatizeBases(block);
  // What the block hands out.
  Operation *terminator = block.getTerminator();
  if (isa<func::ReturnOp, hr::YieldOp>(terminator)) {
    bool isReturn = isa<func::ReturnOp>(terminator);
    OpBuilder b(terminator);
    DenseSet<Value> taken;
    for (OpOperand &operand : terminator->getOpOperands())
      if (!isStoredHere(operand.get(), block, taken, isReturn))
        operand.set(createCopy(b, terminator->getLoc(), operand.get()));
  }
  return success();
}

namespace {
struct PrepareStagesPass
    : headrace::impl::PrepareStagesPassBase<PrepareStagesPass> {
  using PrepareStagesPassBase::PrepareStagesPassBase;

  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (hr::isEntry(func) && failed(prepareBlock(func.getBody().front())))
        return signalPassFailure();
  }
};
} // namespace
