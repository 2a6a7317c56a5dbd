//===- ChooseLayouts.cpp - In which order buffers keep their elements -----===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// hr-choose-layouts. Terms:
//
//   buffer   values that lie in the same bytes: what an operation computes, the
//            updates of it, what a repeat carries.
//   layout   the order in which a buffer keeps its dimensions. Row-major at
//            first; another one has one of the dimensions moved to the end.
//   move     a dimension of one buffer goes innermost, and in the buffers around
//            it the one that runs along with it: by the same loop, or, through a
//            sum of products, from the summed loop of what is read to the loop
//            that only the other factor shares with what is computed, so that
//            the result is for the next product what the operand was for this.
//
// Each product suggests a move: the order in which it would be one of matrices.
// A move is made if the operations that touch what it moves are faster by
// prediction, each planned by itself; then each of its buffers is asked whether
// it would rather be as it was.
//
// What a caller sees (arguments, results, states), weights, and tensors that are
// read at positions which are data stay row-major.
//
//===----------------------------------------------------------------------===//

#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Plan/Passes.h"
#include "headrace/Plan/Planner.h"
#include "headrace/Target/Target.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

#include <deque>
#include <limits>
#include <map>
#include <set>

namespace headrace {
#define GEN_PASS_DEF_CHOOSELAYOUTSPASS
#include "headrace/Plan/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

namespace {

/// Dimension `i` of what lies in memory is dimension `order[i]` of the value.
using Order = SmallVector<unsigned>;

struct Buffer {
  SmallVector<Value> values;
  SmallVector<SizeExpr> dims;
  bool isFixed = false;
  /// The dimension that is innermost.
  unsigned innermost = 0;
  /// Operations that read or write it.
  llvm::SetVector<Operation *> users;

  Order getOrder() const {
    Order order;
    for (unsigned d = 0; d < dims.size(); ++d)
      if (d != innermost)
        order.push_back(d);
    order.push_back(innermost);
    return order;
  }
  bool isRowMajor() const { return innermost + 1 == dims.size(); }
};

/// Where an operation finds a buffer.
struct Touch {
  unsigned buffer;
  bool isWritten;
  /// One function of the operation's loops per dimension.
  SmallVector<Linear> index;
};

/// The buffers that change with a move, and which dimension of each goes
/// innermost.
using Move = llvm::MapVector<unsigned, unsigned>;

class LayoutChooser {
public:
  LayoutChooser(func::FuncOp entry, const hw::Device &device,
                const Planner::Options &options, bool always)
      : entry(entry), context(entry.getContext()),
        planner(device, entry, options), always(always) {}

  void run();

private:
  void collect(Block &block, int64_t times);
  /// The buffer of a value; nothing of what always stays row-major.
  std::optional<unsigned> find(Value value);
  void join(Value a, Value b);
  void fix(Value value);
  void fixUses(Value value);
  void noteTouches(Operation *op);

  Move getMove(unsigned buffer, unsigned dim);
  llvm::SmallBitVector getInnerLoops(const Linear &linear,
                                     ArrayRef<hr::TileLoop> loops) const;
  std::optional<unsigned> follow(Operation *op, const Touch &from, unsigned dim,
                                 const Touch &to);
  bool isLegal(unsigned buffer, unsigned innermost);
  /// Seconds of all operations that touch one of these buffers.
  double predictAround(ArrayRef<unsigned> moved);
  double predict(Operation *op);
  double predictAlone(Operation *op);
  void suggest(Operation *op);
  void consider(const Move &move, Operation *op);

  /// The loops of `changed`, which is `op` or a copy of it, as the layouts of
  /// what `op` reads want them.
  void reorderLoops(Operation *op, Operation *changed);
  void rewrite(Block &block);

  func::FuncOp entry;
  MLIRContext *context;
  Planner planner;
  bool always;
  std::vector<Buffer> buffers;
  DenseMap<Value, unsigned> bufferOf;
  SmallVector<unsigned> parent; // of buffers that were joined
  /// Operations that compute, in order, and how often each runs.
  llvm::MapVector<Operation *, int64_t> ops;
  DenseMap<Operation *, SmallVector<Touch>> touches;
  std::map<std::pair<Operation *, std::vector<unsigned>>, double> known;
  std::set<std::vector<std::pair<unsigned, unsigned>>> tried;
};

} // namespace

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

std::optional<unsigned> LayoutChooser::find(Value value) {
  auto it = bufferOf.find(value);
  if (it == bufferOf.end())
    return std::nullopt;
  unsigned number = it->second;
  while (parent[number] != number)
    number = parent[number] = parent[parent[number]];
  return number;
}

/// The two lie in the same bytes.
void LayoutChooser::join(Value a, Value b) {
  std::optional<unsigned> first = find(a), second = find(b);
  if (!first || !second) {
    fix(a);
    fix(b);
    return;
  }
  if (*first == *second)
    return;
  parent[*second] = *first;
  Buffer &to = buffers[*first], &from = buffers[*second];
  llvm::append_range(to.values, from.values);
  to.isFixed |= from.isFixed;
}

void LayoutChooser::fix(Value value) {
  if (std::optional<unsigned> number = find(value))
    buffers[*number].isFixed = true;
}

/// Whoever reads the value, through views too, must be able to do so under any
/// order.
void LayoutChooser::fixUses(Value value) {
  Value base = getViewBase(value);
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (isViewLike(user)) {
      fixUses(user->getResult(0));
      continue;
    }
    if (isa<hr::RepeatOp, hr::YieldOp>(user) && value == base)
      continue; // joined with what it becomes
    std::optional<hr::TileRegion> region = getRegion(user);
    bool isRegion = region && region->operand == use.getOperandNumber();
    // What a stream reads as it goes is part of it, and never in memory as a
    // whole: turned by itself it might not be.
    auto tileable = dyn_cast<hr::TileableOp>(user);
    bool isStreamed =
        tileable && tileable.getNestKind() == NodeKind::SoftmaxSum &&
        tileable.getTileReads().front().operand == use.getOperandNumber();
    if (!isComputeOp(user) || isStreamed ||
        (isRegion && !(isa<hr::UpdateOp>(user) && value == base)))
      fix(base);
  }
}

void LayoutChooser::collect(Block &block, int64_t times) {
  auto add = [&](Value value, bool isFixed) {
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(value);
    if (failed(dims) || dims->size() < 2)
      return;
    unsigned number = buffers.size();
    Buffer &buffer = buffers.emplace_back();
    buffer.values.push_back(value);
    buffer.dims = *dims;
    buffer.isFixed = isFixed;
    buffer.innermost = unsigned(dims->size()) - 1;
    parent.push_back(number);
    bufferOf[value] = number;
  };
  for (Operation &op : block) {
    if (auto repeat = dyn_cast<hr::RepeatOp>(op)) {
      Block &body = repeat.getBody().front();
      for (auto [k, init] : llvm::enumerate(repeat.getInits())) {
        add(body.getArgument(k + 1), /*isFixed=*/false);
        add(repeat.getResult(k), /*isFixed=*/false);
      }
      collect(body, times * static_cast<int64_t>(repeat.getCount()));
      for (auto [k, init] : llvm::enumerate(repeat.getInits())) {
        join(body.getArgument(k + 1), init);
        join(body.getArgument(k + 1), body.getTerminator()->getOperand(k));
        join(body.getArgument(k + 1), repeat.getResult(k));
      }
      continue;
    }
    if (!isComputeOp(&op))
      continue;
    ops[&op] = times;
    for (OpResult result : op.getResults())
      add(result, !isa<linalg::GenericOp, hr::UpdateOp>(op));
    if (std::optional<hr::TileRegion> region = getRegion(&op);
        region && region->isOverwritten) {
      Value base = op.getOperand(region->operand);
      // Storage that nobody has written yet is made anew.
      if (!base.getDefiningOp<tensor::EmptyOp>())
        join(op.getResult(0), base);
    }
  }
}

/// What the operation reads and writes, in terms of its loops.
void LayoutChooser::noteTouches(Operation *op) {
  auto tileable = cast<hr::TileableOp>(op);
  FailureOr<SmallVector<hr::TileLoop>> loops = tileable.getTileLoops();
  if (failed(loops))
    return;
  auto numLoops = unsigned(loops->size());
  SmallVector<Touch> &list = touches[op];
  auto add = [&](Value base, bool isWritten, ArrayRef<Linear> index) {
    std::optional<unsigned> buffer = find(base);
    if (!buffer)
      return;
    list.push_back({*buffer, isWritten, llvm::to_vector(index)});
    buffers[*buffer].users.insert(op);
  };
  for (const hr::TileRead &read : tileable.getTileReads()) {
    if (!read.isRead || !read.map)
      continue;
    Value operand = op->getOperand(read.operand), base = getViewBase(operand);
    FailureOr<SmallVector<Linear>> index = getLinear(read.map);
    if (succeeded(index))
      index = getBaseIndex(operand, *index, numLoops);
    if (failed(index))
      fix(base);
    else
      add(base, /*isWritten=*/false, *index);
  }
  std::optional<hr::TileRegion> region = tileable.getTileRegion();
  for (OpResult result : op->getResults()) {
    SmallVector<Linear> index;
    if (region && region->isOverwritten) {
      FailureOr<SmallVector<Linear>> map = getLinear(region->map);
      if (failed(map)) {
        fix(result);
        continue;
      }
      index = *map;
    } else {
      for (unsigned loop : tileable.getResultLoops(result.getResultNumber())) {
        Linear &linear = index.emplace_back();
        linear.coef.assign(numLoops, SizeExpr(0));
        linear.coef[loop] = SizeExpr(1);
      }
    }
    add(result, /*isWritten=*/true, index);
  }
}

//===----------------------------------------------------------------------===//
// Moves
//===----------------------------------------------------------------------===//

static bool dependsOn(ArrayRef<Linear> index, unsigned loop) {
  return llvm::any_of(index, [&](const Linear &linear) {
    return linear.coef[loop] != SizeExpr(0);
  });
}

/// The loops along which neighbours in a dimension are: the one of the smallest
/// step, and those that overlap with it (a window's). Of heads times depth, the
/// depth.
llvm::SmallBitVector
LayoutChooser::getInnerLoops(const Linear &linear,
                             ArrayRef<hr::TileLoop> loops) const {
  auto valueOf = [&](const SizeExpr &size) {
    return std::abs(size.evaluate(planner.getBindings()).value_or(1));
  };
  int64_t least = std::numeric_limits<int64_t>::max(), reach = 0;
  for (auto [coef, loop] : llvm::zip(linear.coef, loops))
    if (coef != SizeExpr(0) && valueOf(coef) < least) {
      least = valueOf(coef);
      reach = least * std::max<int64_t>(valueOf(loop.extent), 1);
    }
  llvm::SmallBitVector inner(loops.size());
  for (auto [l, coef] : llvm::enumerate(linear.coef))
    if (coef != SizeExpr(0) && (valueOf(coef) == least || valueOf(coef) < reach))
      inner.set(l);
  return inner;
}

/// The dimension of `to` that runs along with `dim` of `from`.
std::optional<unsigned> LayoutChooser::follow(Operation *op, const Touch &from,
                                              unsigned dim, const Touch &to) {
  FailureOr<SmallVector<hr::TileLoop>> loops =
      cast<hr::TileableOp>(op).getTileLoops();
  llvm::SmallBitVector along = getInnerLoops(from.index[dim], *loops);
  for (auto [d, linear] : llvm::enumerate(to.index))
    if (getInnerLoops(linear, *loops).anyCommon(along))
      return d;
  if (!cast<hr::TileableOp>(op).getProductTypes() ||
      from.isWritten == to.isWritten)
    return std::nullopt;
  // The other factor's loop, or the summed one.
  std::optional<unsigned> best;
  int64_t most = 1;
  for (auto [d, linear] : llvm::enumerate(to.index)) {
    std::optional<unsigned> loop = linear.getPlainLoop();
    if (!loop || dependsOn(from.index, *loop) ||
        (*loops)[*loop].parallel != to.isWritten)
      continue;
    int64_t extent =
        (*loops)[*loop].extent.evaluate(planner.getBindings()).value_or(1);
    if (extent > most) {
      most = extent;
      best = d;
    }
  }
  return best;
}

Move LayoutChooser::getMove(unsigned buffer, unsigned dim) {
  Move move;
  std::deque<unsigned> work;
  auto take = [&](unsigned number, unsigned d) {
    // A buffer that stays ends the move, unless it is as the move wants it.
    if (buffers[number].isFixed && buffers[number].innermost != d)
      return;
    if (move.insert({number, d}).second)
      work.push_back(number);
  };
  take(buffer, dim);
  while (!work.empty()) {
    unsigned number = work.front();
    work.pop_front();
    unsigned d = move[number];
    for (Operation *op : buffers[number].users)
      for (const Touch &from : touches[op])
        if (from.buffer == number)
          for (const Touch &to : touches[op])
            if (to.buffer != number)
              if (std::optional<unsigned> next = follow(op, from, d, to))
                take(to.buffer, *next);
  }
  return move;
}

/// Whether all readers' views are strided under the order.
bool LayoutChooser::isLegal(unsigned number, unsigned innermost) {
  Buffer &buffer = buffers[number];
  unsigned before = std::exchange(buffer.innermost, innermost);
  Order order = buffer.getOrder();
  buffer.innermost = before;
  SmallVector<SizeExpr> inOrder, strides(order.size(), SizeExpr(0));
  for (unsigned d : order)
    inOrder.push_back(buffer.dims[d]);
  for (auto [d, stride] : llvm::zip(order, rowMajorStrides(inOrder)))
    strides[d] = stride;
  std::function<bool(Value)> check = [&](Value value) {
    return llvm::all_of(value.getUsers(), [&](Operation *user) {
      if (!isViewLike(user))
        return true;
      return succeeded(getStridedView(user->getResult(0), strides)) &&
             check(user->getResult(0));
    });
  };
  return llvm::all_of(buffer.values, check);
}

//===----------------------------------------------------------------------===//
// Changing operations
//===----------------------------------------------------------------------===//

static SmallVector<SizeExpr> permute(ArrayRef<SizeExpr> list,
                                     ArrayRef<unsigned> order) {
  return llvm::map_to_vector(order, [&](unsigned d) { return list[d]; });
}

static RankedTensorType permute(RankedTensorType type,
                                ArrayRef<unsigned> order) {
  return RankedTensorType::get(
      llvm::map_to_vector(order,
                          [&](unsigned d) { return type.getDimSize(d); }),
      type.getElementType());
}

static AffineMap permute(AffineMap map, ArrayRef<unsigned> order) {
  return AffineMap::get(
      map.getNumDims(), 0,
      llvm::map_to_vector(order, [&](unsigned d) { return map.getResult(d); }),
      map.getContext());
}

/// What lies in memory in `order`, as the value.
static Value createValueOf(OpBuilder &b, Location loc, Value stored,
                           ArrayRef<unsigned> order,
                           ArrayRef<SizeExpr> dims) {
  SmallVector<AffineExpr> exprs;
  for (unsigned d : order)
    exprs.push_back(b.getAffineDimExpr(d));
  SmallVector<SizeExpr> zeros(order.size(), SizeExpr(0));
  return hr::createView(
      b, loc, stored, zeros,
      AffineMap::get(order.size(), 0, exprs, b.getContext()), dims);
}

/// The value in `order`: what the view is of, if it is one that
/// `createValueOf` made, or a view of its own.
static Value createStored(OpBuilder &b, Location loc, Value value,
                          ArrayRef<unsigned> order) {
  SmallVector<AffineExpr> exprs(order.size());
  for (auto [i, d] : llvm::enumerate(order))
    exprs[d] = b.getAffineDimExpr(i);
  auto map = AffineMap::get(order.size(), 0, exprs, b.getContext());
  if (auto view = value.getDefiningOp<hr::ViewOp>())
    if (view.getMap().compose(map).isIdentity() &&
        view.getMap().getNumResults() == order.size())
      return view.getSource();
  SmallVector<SizeExpr> zeros(order.size(), SizeExpr(0));
  return hr::createView(b, loc, value, zeros, map,
                        permute(*hr::getDims(value), order));
}

/// Makes a result lie in `order`.
static void reorderResult(OpBuilder &b, OpResult result,
                          ArrayRef<unsigned> order) {
  Operation *op = result.getOwner();
  Location loc = op->getLoc();
  b.setInsertionPoint(op);
  auto anew = [&](Value storage) -> Value {
    return hr::createEmpty(
        b, loc, permute(*hr::getDims(storage), order),
        cast<RankedTensorType>(storage.getType()).getElementType());
  };
  if (auto update = dyn_cast<hr::UpdateOp>(op)) {
    Value base = update.getBase();
    update.getBaseMutable().assign(
        base.getDefiningOp<tensor::EmptyOp>()
            ? anew(base)
            : createStored(b, loc, base, order));
    update.setOffsetsAttr(hr::getSizeArrayAttr(
        b.getContext(), permute(hr::getSizes(update.getOffsets()), order)));
    update.setMapAttr(AffineMapAttr::get(permute(update.getMap(), order)));
  } else {
    auto generic = cast<linalg::GenericOp>(op);
    OpOperand *init = generic.getDpsInitOperand(result.getResultNumber());
    AffineMap map = generic.getMatchingIndexingMap(init);
    init->set(init->get().getDefiningOp<tensor::EmptyOp>()
                  ? anew(init->get())
                  : createStored(b, loc, init->get(), order));
    SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
    maps[init->getOperandNumber()] = permute(map, order);
    generic.setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
  }
  result.setType(
      permute(cast<RankedTensorType>(result.getType()), order));
}

/// Sums in the order in which what is summed lies in memory: `position` is that
/// of each loop, of those that are not parallel.
static void reorderSums(linalg::GenericOp op, ArrayRef<unsigned> position) {
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  SmallVector<unsigned> sums;
  for (auto [l, kind] : llvm::enumerate(iterators))
    if (kind == utils::IteratorType::reduction)
      sums.push_back(l);
  SmallVector<unsigned> sorted = sums;
  llvm::stable_sort(sorted, [&](unsigned a, unsigned b) {
    return position[a] < position[b];
  });
  Builder b(op.getContext());
  SmallVector<AffineExpr> dims;
  for (unsigned l = 0; l < iterators.size(); ++l)
    dims.push_back(b.getAffineDimExpr(l));
  for (auto [to, from] : llvm::zip(sums, sorted))
    dims[from] = b.getAffineDimExpr(to);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (AffineMap &map : maps)
    map = map.replaceDimsAndSymbols(dims, {}, map.getNumDims(), 0);
  op.setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
}

void LayoutChooser::reorderLoops(Operation *op, Operation *changed) {
  auto generic = dyn_cast<linalg::GenericOp>(changed);
  if (!generic || generic.hasIndexSemantics() ||
      !cast<hr::TileableOp>(op).getProductTypes())
    return;
  for (const Touch &touch : touches[op]) {
    const Buffer &buffer = buffers[touch.buffer];
    if (touch.isWritten || buffer.isRowMajor())
      continue;
    SmallVector<unsigned> position(generic.getNumLoops(), 0);
    for (auto [at, d] : llvm::enumerate(buffer.getOrder()))
      for (auto [loop, coef] : llvm::enumerate(touch.index[d].coef))
        if (coef != SizeExpr(0))
          position[loop] = at;
    // What is next to the innermost dimension is rows; a window along them sees
    // much of what the window of the next row does, which is then still at hand.
    unsigned rows = buffer.getOrder()[buffer.dims.size() - 2];
    if (!touch.index[rows].getPlainLoop())
      for (auto [loop, coef] : llvm::enumerate(touch.index[rows].coef))
        if (coef != SizeExpr(0))
          position[loop] = buffer.dims.size();
    return reorderSums(generic, position);
  }
}

//===----------------------------------------------------------------------===//
// Predictions
//===----------------------------------------------------------------------===//

/// The operation in a function of its own, which reads what it reads there in
/// the order in which that lies.
double LayoutChooser::predictAlone(Operation *op) {
  OwningOpRef<ModuleOp> module(ModuleOp::create(op->getLoc()));
  OpBuilder b(context);
  b.setInsertionPointToEnd(module->getBody());
  auto func = func::FuncOp::create(b, op->getLoc(), "alone",
                                   b.getFunctionType({}, {}));
  for (StringRef name : {"hr.symbols", "hr.traced", "hr.requires"})
    if (Attribute attr = entry->getAttr(name))
      func->setAttr(name, attr);
  Block *block = func.addEntryBlock();
  b.setInsertionPointToEnd(block);
  IRMapping map;
  DenseSet<Value> weights;
  std::function<void(Value)> bring = [&](Value value) {
    if (map.contains(value))
      return;
    Operation *def = value.getDefiningOp();
    bool isLocal = def && (isViewLike(def) || def->hasTrait<OpTrait::ConstantLike>() ||
                           isa<tensor::EmptyOp, hr::SizeOp>(def));
    if (isLocal) {
      llvm::for_each(def->getOperands(), bring);
      b.clone(*def, map);
      return;
    }
    auto type = dyn_cast<RankedTensorType>(value.getType());
    SmallVector<SizeExpr> dims;
    Order order;
    if (type) {
      dims = *hr::getDims(value);
      if (std::optional<unsigned> buffer = find(value);
          buffer && !buffers[*buffer].isRowMajor())
        order = buffers[*buffer].getOrder();
    }
    unsigned number = func.getNumArguments();
    (void)func.insertArgument(number,
                              order.empty() ? value.getType()
                                            : Type(permute(type, order)),
                              {}, value.getLoc());
    Value argument = func.getArgument(number);
    if (type)
      func.setArgAttr(number, "hr.dims",
                      hr::getSizeArrayAttr(
                          context, order.empty() ? dims : permute(dims, order)));
    if (def && isa<hr::ConstantOp>(def) && dims.size() > 1 &&
        type.hasStaticShape())
      weights.insert(argument);
    map.map(value, order.empty()
                       ? argument
                       : createValueOf(b, op->getLoc(), argument, order, dims));
  };
  llvm::for_each(op->getOperands(), bring);
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (operand.getParentRegion()->isProperAncestor(&op->getRegion(0)))
        bring(operand);
  });
  Operation *alone = b.clone(*op, map);
  for (OpResult result : op->getResults())
    if (std::optional<unsigned> buffer = find(result);
        buffer && !buffers[*buffer].isRowMajor())
      reorderResult(b, alone->getResult(result.getResultNumber()),
                    buffers[*buffer].getOrder());
  reorderLoops(op, alone);
  FailureOr<std::unique_ptr<StageAnalysis>> analysis =
      StageAnalysis::create(alone, llvm::to_vector_of<Value>(alone->getResults()));
  if (failed(analysis))
    return std::numeric_limits<double>::infinity();
  planner.isPackable = [&](Value value) { return weights.contains(value); };
  double seconds = planner.plan(**analysis).seconds;
  planner.isPackable = nullptr;
  return seconds;
}

double LayoutChooser::predict(Operation *op) {
  std::vector<unsigned> orders;
  for (const Touch &touch : touches[op])
    orders.push_back(buffers[touch.buffer].innermost);
  auto [entry, isNew] = known.insert({{op, orders}, 0});
  if (isNew)
    entry->second = predictAlone(op) * double(ops[op]);
  return entry->second;
}

double LayoutChooser::predictAround(ArrayRef<unsigned> moved) {
  llvm::SetVector<Operation *> around;
  for (unsigned number : moved)
    around.insert_range(buffers[number].users);
  double seconds = 0;
  for (Operation *op : around)
    seconds += predict(op);
  return seconds;
}

//===----------------------------------------------------------------------===//
// Decisions
//===----------------------------------------------------------------------===//

void LayoutChooser::consider(const Move &move, Operation *op) {
  SmallVector<unsigned> moved, before;
  for (auto [number, dim] : move)
    if (buffers[number].innermost != dim && isLegal(number, dim)) {
      moved.push_back(number);
      before.push_back(buffers[number].innermost);
    }
  // Layers like one another suggest the same.
  std::vector<std::pair<unsigned, unsigned>> key;
  for (unsigned number : moved)
    key.push_back({number, move.lookup(number)});
  llvm::sort(key);
  if (moved.empty() || !tried.insert(key).second)
    return;
  double apart = always ? 0 : predictAround(moved);
  for (unsigned number : moved)
    buffers[number].innermost = move.lookup(number);
  if (always) {
    op->emitRemark("moves a dimension innermost in ")
        << moved.size() << " buffers, as was asked for";
    return;
  }
  double together = predictAround(moved);
  auto nanoseconds = [](double seconds) { return int64_t(seconds * 1e9); };
  // Buffers that would rather be as they were.
  auto refine = [&] {
    bool isChanged = false;
    for (auto [number, old] : llvm::zip(moved, before)) {
      unsigned now = buffers[number].innermost;
      double with = predictAround(number);
      buffers[number].innermost = old;
      if (predictAround(number) < with)
        isChanged |= now != old;
      else
        buffers[number].innermost = now;
    }
    return isChanged;
  };
  while (refine())
    together = predictAround(moved);
  // An operation by itself says little of what it would be joined with: what is
  // nearly as good stays.
  constexpr double worth = 0.99;
  if (together < worth * apart) {
    op->emitRemark("moves a dimension innermost in ")
        << moved.size() << " buffers: " << nanoseconds(together) << " ns, "
        << nanoseconds(apart) << " ns in the order that they had";
    return;
  }
  for (auto [number, old] : llvm::zip(moved, before))
    buffers[number].innermost = old;
  op->emitRemark("leaves the order of ")
      << moved.size() << " buffers: " << nanoseconds(apart) << " ns, "
      << nanoseconds(together) << " ns as a product of matrices";
}

/// The move that a product wants.
void LayoutChooser::suggest(Operation *op) {
  if (!cast<hr::TileableOp>(op).getProductTypes())
    return;
  for (const Touch &written : touches[op]) {
    if (!written.isWritten)
      continue;
    for (const Touch &read : touches[op]) {
      if (read.isWritten)
        continue;
      // From the result back to what is read, and from that to the result.
      std::optional<unsigned> summed, lanes;
      for (unsigned d = 0; d < written.index.size() && !summed; ++d)
        if (!llvm::any_of(read.index, [&](const Linear &linear) {
              std::optional<unsigned> loop = written.index[d].getPlainLoop();
              return !loop || linear.coef[*loop] != SizeExpr(0);
            }))
          summed = follow(op, written, d, read);
      if (summed)
        lanes = follow(op, read, *summed, written);
      if (summed && !buffers[read.buffer].isFixed)
        consider(getMove(read.buffer, *summed), op);
      else if (lanes && !buffers[written.buffer].isFixed)
        consider(getMove(written.buffer, *lanes), op);
    }
  }
}

void LayoutChooser::rewrite(Block &block) {
  auto orderOf = [&](Value value) -> std::optional<Order> {
    std::optional<unsigned> buffer = find(value);
    if (!buffer || buffers[*buffer].isRowMajor())
      return std::nullopt;
    return buffers[*buffer].getOrder();
  };
  for (Operation &op : llvm::make_early_inc_range(block)) {
    OpBuilder b(&op);
    auto handOn = [&](Value stored, const Order &order,
                      ArrayRef<SizeExpr> dims) {
      Value value = createValueOf(b, stored.getLoc(), stored, order, dims);
      stored.replaceAllUsesExcept(value, value.getDefiningOp());
    };
    if (auto repeat = dyn_cast<hr::RepeatOp>(op)) {
      Block &body = repeat.getBody().front();
      SmallVector<std::optional<Order>> orders;
      for (unsigned k = 0; k < repeat.getInits().size(); ++k)
        orders.push_back(orderOf(repeat.getResult(k)));
      for (auto [k, order] : llvm::enumerate(orders)) {
        if (!order)
          continue;
        BlockArgument argument = body.getArgument(k + 1);
        SmallVector<SizeExpr> dims = *hr::getDims(argument);
        auto type =
            permute(cast<RankedTensorType>(argument.getType()), *order);
        repeat.getInitsMutable()[k].assign(
            createStored(b, op.getLoc(), repeat.getInits()[k], *order));
        argument.setType(type);
        b.setInsertionPointToStart(&body);
        handOn(argument, *order, dims);
        b.setInsertionPointAfter(repeat);
        repeat.getResult(k).setType(type);
        handOn(repeat.getResult(k), *order, dims);
        b.setInsertionPoint(repeat);
      }
      rewrite(body);
      Operation *yield = body.getTerminator();
      b.setInsertionPoint(yield);
      for (auto [k, order] : llvm::enumerate(orders))
        if (order)
          yield->setOperand(
              k, createStored(b, op.getLoc(), yield->getOperand(k), *order));
      continue;
    }
    if (isComputeOp(&op))
      reorderLoops(&op, &op);
    for (OpResult result : op.getResults())
      if (std::optional<Order> order = orderOf(result)) {
        SmallVector<SizeExpr> dims = *hr::getDims(result);
        reorderResult(b, result, *order);
        b.setInsertionPointAfter(&op);
        handOn(result, *order, dims);
      }
  }
}

void LayoutChooser::run() {
  Block &block = entry.getBody().front();
  collect(block, 1);
  for (const Buffer &buffer : buffers)
    llvm::for_each(buffer.values, [&](Value value) { fixUses(value); });
  for (const auto &[op, times] : ops)
    noteTouches(op);
  for (const auto &[op, times] : ops)
    suggest(op);
  rewrite(block);
  // Views there and back again.
  entry.walk([](hr::ViewOp view) {
    if (view.use_empty())
      view.erase();
  });
}

namespace {
struct ChooseLayoutsPass
    : headrace::impl::ChooseLayoutsPassBase<ChooseLayoutsPass> {
  using ChooseLayoutsPassBase::ChooseLayoutsPassBase;

  void runOnOperation() override {
    std::string error;
    FailureOr<hw::System> system = hw::System::load(target, error);
    if (failed(system)) {
      getOperation().emitError() << error;
      return signalPassFailure();
    }
    const hw::Device &device = system->getDevice();
    Planner::Options options;
    options.quick = true;
    options.emits = getEmits(*system);
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (hr::isEntry(func))
        LayoutChooser(func, device, options, always).run();
  }
};
} // namespace
