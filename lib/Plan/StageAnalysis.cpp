//===- StageAnalysis.cpp - What a stage computes, in terms of loops -------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Three steps: every compute op becomes a node whose operands are resolved
// through views (`addNode`); loops that run over the same index are unified
// into classes (`formClasses`); nodes are grouped into nests (NestFormer.h).
//
//===----------------------------------------------------------------------===//

#include "headrace/Plan/StageAnalysis.h"

#include "NestFormer.h"

#include "headrace/Dialect/HR/HRUtils.h"
#include <map>

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

bool plan::isComputeOp(Operation *op) {
  return isa<hr::TileableOp>(op) && op->getNumResults() > 0 &&
         isa<RankedTensorType>(op->getResult(0).getType());
}

std::optional<hr::TileRegion> plan::getRegion(Operation *op) {
  auto tileable = dyn_cast_or_null<hr::TileableOp>(op);
  return tileable ? tileable.getTileRegion() : std::nullopt;
}

SmallVector<const Node *> Nest::getStored() const {
  SmallVector<const Node *> stored;
  for (const Prologue &prologue : prologues)
    stored.push_back(prologue.map);
  llvm::append_range(stored, sinks);
  return stored;
}

SmallVector<const Node *> Nest::getRoots() const {
  SmallVector<const Node *> roots{anchor};
  for (const Node *sink : sinks)
    if (sink != anchor)
      roots.push_back(sink);
  for (const Prologue &prologue : prologues)
    roots.push_back(prologue.map);
  return roots;
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

static LogicalResult fail(std::string *why, Operation *op, const Twine &text) {
  if (why)
    *why = (op->getName().getStringRef() + ": " + text).str();
  return failure();
}

/// Looks through the views above `value` and composes them with `index` (one
/// linear function per dimension of `value`).
FailureOr<Access> StageAnalysis::resolve(Value value, ArrayRef<Linear> index,
                                         unsigned numLoops, std::string *why) {
  Access access;
  Value base = getViewBase(value);
  access.source = base;
  Operation *def = base.getDefiningOp();
  Node *producer = def ? nodeOf.lookup(def) : nullptr;

  if (auto unpack = def ? dyn_cast<linalg::UnPackOp>(def) : nullptr) {
    if (value != base)
      return fail(why, def, "a packed operand is read through a view");
    access.source = unpack.getSource();
    access.panel = unpack.getStaticInnerTiles()[0];
    for (int64_t d : unpack.getOuterDimsPerm())
      access.logical.push_back(index[d]);
    std::optional<unsigned> loop =
        index[unpack.getInnerDimsPos()[0]].getPlainLoop();
    if (!loop)
      return fail(why, def, "the packed dimension is not one loop");
    access.panelLoop = *loop;
    if (unpack.getInnerDimsPos().size() > 1) {
      access.group = unpack.getStaticInnerTiles()[1];
      loop = index[unpack.getInnerDimsPos()[1]].getPlainLoop();
      if (!loop)
        return fail(why, def, "the grouped dimension is not one loop");
      access.groupLoop = *loop;
    }
    // Addresses in panels are linear in a lane if its loop moves nothing else.
    for (auto [d, linear] : llvm::enumerate(index))
      for (int64_t own : unpack.getInnerDimsPos()) {
        std::optional<unsigned> moved = index[own].getPlainLoop();
        if (int64_t(d) != own && linear.coef[*moved] != SizeExpr(0))
          return fail(why, def,
                      "the loop of a packed dimension moves along another");
      }
    return access;
  }

  if (!producer) {
    auto inside = getBaseIndex(value, index, numLoops);
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(base);
    if (succeeded(inside) && succeeded(dims)) {
      access.index = std::move(*inside);
      access.address = compose({SizeExpr(0), rowMajorStrides(*dims)},
                               access.index, numLoops);
      return access;
    }
    // Merged dimensions still lie at strides where they are contiguous.
    FailureOr<StridedView> view = getStridedView(value);
    if (failed(view))
      return fail(why, def ? def : value.getParentRegion()->getParentOp(),
                  "a view is not strided");
    access.address = compose({view->offset, view->strides}, index, numLoops);
    return access;
  }

  if (producer->kind == NodeKind::Update ||
      producer->kind == NodeKind::Scatter)
    return fail(why, def, "an updated buffer is read in the same stage");
  access.producer = producer;
  FailureOr<SmallVector<Linear>> inside =
      getBaseIndex(value, index, numLoops, why);
  if (failed(inside))
    return failure();
  access.index = std::move(*inside);
  return access;
}

std::optional<Access>
StageAnalysis::lookThrough(Value value, ArrayRef<Linear> index,
                           const llvm::SmallBitVector &own,
                           const llvm::SmallBitVector &batch) {
  Operation *def = getViewBase(value).getDefiningOp();
  Node *gather = def ? nodeOf.lookup(def) : nullptr;
  if (!gather || !gather->region || gather->region->isOverwritten)
    return std::nullopt;
  unsigned numLoops = batch.size();
  FailureOr<SmallVector<Linear>> point = getBaseIndex(value, index, numLoops);
  if (failed(point))
    return std::nullopt;
  Access access;
  access.dataLoops.resize(numLoops);
  for (const Access &position : gather->operands) {
    if (!position.isInput() || position.panel)
      return std::nullopt;
    for (unsigned j = 0; j < gather->loops.size(); ++j)
      if (position.dependsOn(j))
        for (unsigned l = 0; l < numLoops; ++l)
          if ((*point)[j].coef[l] != SizeExpr(0))
            access.dataLoops.set(l);
  }
  // For one bad position there has to be a good one that can be read instead.
  FailureOr<SmallVector<SizeExpr>> extents =
      hr::getDims(def->getOperand(gather->region->operand));
  bool hasMatrices = own.test(access.dataLoops); // a loop beside the positions
  if (failed(extents) || access.dataLoops.test(own) ||
      (!hasMatrices && access.dataLoops.test(batch)))
    return std::nullopt;
  access.source = gather->source->source;
  access.gather = gather;
  access.address.coef.assign(numLoops, SizeExpr(0));
  for (auto [d, extent] : llvm::enumerate(*extents)) {
    if (gather->region->hasData(d)) {
      if (extent.getConstant().value_or(0) < 1)
        return std::nullopt;
      continue;
    }
    // What the map has beside the loops is in the region's own offset.
    Linear map = gather->source->logical[d];
    map.offset = 0;
    Linear direct = compose(map, *point, numLoops);
    const SizeExpr &stride = gather->source->address.coef[d];
    access.address.offset = access.address.offset + stride * direct.offset;
    for (unsigned l = 0; l < numLoops; ++l)
      access.address.coef[l] =
          access.address.coef[l] + stride * direct.coef[l];
  }
  access.gatherPoint = std::move(*point);
  return access;
}

/// Parallel loops along which an operand changes.
static llvm::SmallBitVector getParallelLoops(const Node &node,
                                             const hr::TileRead &read) {
  llvm::SmallBitVector loops(node.loops.size());
  for (unsigned l = 0; l < node.loops.size(); ++l)
    if (node.loops[l].parallel && read.map.isFunctionOfDim(l))
      loops.set(l);
  return loops;
}

/// The tensor that a node reads at positions which are data, or overwrites.
FailureOr<Access> StageAnalysis::resolveRegion(const Node &node,
                                               std::string *why) {
  Operation *op = node.op;
  const hr::TileRegion &region = *node.region;
  Value tensor = op->getOperand(region.operand);
  FailureOr<SmallVector<Linear>> linear = getLinear(region.map);
  if (failed(linear))
    return fail(why, op, "the map of a region is not linear");
  FailureOr<StridedView> view = getStridedView(tensor);
  Operation *def = getViewBase(tensor).getDefiningOp();
  if (failed(view) || (def && nodeOf.count(def)))
    return fail(why, op, "a region is computed in the stage or not strided");
  for (auto [d, offset] : llvm::enumerate(region.offsets))
    (*linear)[d].offset = (*linear)[d].offset + offset;
  Access access;
  access.source = view->base;
  access.logical = *linear;
  Linear strides{view->offset, view->strides};
  // With data, the address is what it is per dimension.
  access.address = region.data.empty()
                       ? compose(strides, *linear, node.loops.size())
                       : strides;
  return access;
}

LogicalResult StageAnalysis::addNode(Operation *op, std::string *why) {
  auto tileable = dyn_cast<hr::TileableOp>(op);
  if (!tileable)
    return fail(why, op, "not a compute op");
  auto node = std::make_unique<Node>();
  node->op = op;
  node->index = nodes.size();
  node->kind = tileable.getNestKind();
  FailureOr<SmallVector<hr::TileLoop>> loops = tileable.getTileLoops();
  if (failed(loops))
    return fail(why, op, "a loop's extent cannot be traced");
  for (const hr::TileLoop &loop : *loops)
    node->loops.push_back({loop.parallel, loop.extent, 0});

  SmallVector<hr::TileRead> reads = tileable.getTileReads();
  for (const hr::TileRead &read : reads) {
    unsigned number = node->operands.size();
    Access &access = node->operands.emplace_back();
    if (!read.isRead)
      continue;
    Value operand = op->getOperand(read.operand);
    if (!read.map) {
      access.source = operand;
      continue;
    }
    FailureOr<SmallVector<Linear>> linear = getLinear(read.map);
    if (failed(linear))
      return fail(why, op, "an indexing map is not linear");
    if (node->kind == NodeKind::Contraction && number < 2) {
      llvm::SmallBitVector own = getParallelLoops(*node, reads[number]);
      llvm::SmallBitVector batch = own;
      batch &= getParallelLoops(*node, reads[1 - number]);
      if (std::optional<Access> direct =
              lookThrough(operand, *linear, own, batch)) {
        access = std::move(*direct);
        continue;
      }
    }
    FailureOr<Access> found =
        resolve(operand, *linear, node->loops.size(), why);
    if (failed(found))
      return failure();
    access = std::move(*found);
  }
  node->region = tileable.getTileRegion();
  if (node->region) {
    FailureOr<Access> found = resolveRegion(*node, why);
    if (failed(found))
      return failure();
    node->source = std::move(*found);
  }
  for (unsigned r = 0; r < op->getNumResults(); ++r)
    node->resultLoops.push_back(tileable.getResultLoops(r));
  hr::PointCost cost = tileable.getPointCost();
  node->flopsPerPoint = cost.operations;
  node->hasMath = cost.hasMath;

  nodeOf[op] = node.get();
  nodes.push_back(std::move(node));
  return success();
}

//===----------------------------------------------------------------------===//
// Classes
//===----------------------------------------------------------------------===//

void StageAnalysis::formClasses() {
  // Number all loops, unify along plain accesses of internal edges.
  SmallVector<unsigned> first;
  unsigned total = 0;
  for (auto &node : nodes) {
    first.push_back(total);
    total += node->loops.size();
  }
  SmallVector<unsigned> parent(total);
  std::iota(parent.begin(), parent.end(), 0);
  std::function<unsigned(unsigned)> find = [&](unsigned x) {
    while (parent[x] != x)
      x = parent[x] = parent[parent[x]];
    return x;
  };
  // The nodes with a loop in the class of a root. No node has two loops of one
  // class: a value that is read at [i] and at [j] runs along with one of them,
  // and is whole for the other.
  SmallVector<llvm::SmallBitVector> owners(total);
  for (auto &node : nodes)
    for (unsigned l = 0; l < node->loops.size(); ++l) {
      owners[first[node->index] + l].resize(nodes.size());
      owners[first[node->index] + l].set(node->index);
    }
  auto unify = [&](unsigned a, unsigned b) {
    a = find(a);
    b = find(b);
    if (a == b)
      return true;
    if (a > b)
      std::swap(a, b);
    if (owners[a].anyCommon(owners[b]))
      return false;
    owners[a] |= owners[b];
    parent[b] = a;
    return true;
  };
  llvm::SmallBitVector untileable(total);
  for (auto &node : nodes) {
    for (Access &access : node->operands) {
      if (!access.producer)
        continue;
      Node *producer = access.producer;
      unsigned number = cast<OpResult>(access.source).getResultNumber();
      ArrayRef<unsigned> resultLoops = producer->resultLoops[number];
      for (auto [p, loop] : llvm::enumerate(resultLoops)) {
        std::optional<unsigned> plain = access.index[p].getPlainLoop();
        unsigned theirs = first[producer->index] + loop;
        if (!plain ||
            node->loops[*plain].extent != producer->loops[loop].extent ||
            !unify(first[node->index] + *plain, theirs))
          untileable.set(theirs);
      }
    }
    for (unsigned l = 0; l < node->loops.size(); ++l)
      if (!node->loops[l].parallel)
        untileable.set(first[node->index] + l);
    // What tiles write has to be seen to be apart: a region that begins at a
    // symbolic size has no footprint per tile along its dimension.
    if (node->kind == NodeKind::Update)
      for (const Linear &index : node->source->logical)
        for (auto [l, coef] : llvm::enumerate(index.coef))
          if (coef != SizeExpr(0) &&
              (!index.offset.getConstant() || !coef.getConstant()))
            untileable.set(first[node->index] + l);
  }
  llvm::MapVector<unsigned, unsigned> number;
  for (auto &node : nodes)
    for (auto [l, loop] : llvm::enumerate(node->loops)) {
      unsigned root = find(first[node->index] + l);
      auto [it, fresh] = number.insert({root, classes.size()});
      if (fresh)
        classes.push_back({loop.extent, true, {}, false});
      loop.cls = it->second;
      ClassInfo &info = classes[loop.cls];
      if (!llvm::is_contained(info.members, node.get()))
        info.members.push_back(node.get());
      if (untileable.test(first[node->index] + l))
        info.tileable = false;
      if (node->kind == NodeKind::SoftmaxSum && !loop.parallel)
        info.streamed = true;
    }
}

bool StageAnalysis::isBounded(const Node *node, ArrayRef<unsigned> over,
                              ArrayRef<unsigned> tileable, bool isStreamed,
                              const SymbolRanges &ranges) const {
  constexpr int64_t mostElements = 1 << 20;
  int64_t count = 1;
  for (unsigned l : over) {
    const Loop &loop = node->loops[l];
    if (loop.extent.isConstant() || llvm::is_contained(tileable, loop.cls) ||
        (isStreamed && classes[loop.cls].streamed))
      continue;
    int64_t most = std::max<int64_t>(loop.extent.bounds(ranges).max, 1);
    if (most > mostElements / count)
      return false;
    count *= most;
  }
  return true;
}

bool StageAnalysis::readsStored(const Nest &nest, const Node *stored) const {
  return plan::readsStored(nest, stored, materialized);
}

SmallVector<ScratchValue> StageAnalysis::getScratchValues() const {
  SmallVector<ScratchValue> result;
  for (auto [n, nest] : llvm::enumerate(nests)) {
    int64_t number = 0;
    for (const Node *node : nest.getStored())
      for (OpResult value : node->op->getResults())
        if (!isOutput(value))
          result.push_back({int64_t(n), number++, node, value});
  }
  return result;
}

int64_t StageAnalysis::getLastReader(const ScratchValue &value) const {
  auto last = static_cast<int64_t>(nests.size()) - 1;
  while (last > value.nest && !readsStored(nests[last], value.node))
    --last;
  return last;
}

bool StageAnalysis::isProduct(const Node *node) const {
  return llvm::any_of(nests, [&](const Nest &nest) {
    return nest.anchor->kind == NodeKind::Contraction && !nest.streamedBy &&
           llvm::is_contained(nest.sinks, node);
  });
}

bool StageAnalysis::isAligned(const Node *reader, const Access &access,
                              std::optional<unsigned> cls) {
  const Node *producer = access.producer;
  unsigned number = cast<OpResult>(access.source).getResultNumber();
  for (auto [index, l] :
       llvm::zip(access.index, producer->resultLoops[number])) {
    const Loop &loop = producer->loops[l];
    if (cls && loop.cls != *cls)
      continue;
    std::optional<unsigned> plain = index.getPlainLoop();
    bool isOnly = index.isZero() && loop.extent == SizeExpr(1);
    if (!isOnly && (!plain || reader->loops[*plain].cls != loop.cls))
      return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

/// The place of an access in a flat buffer, in terms of classes.
static std::optional<std::map<unsigned, SizeExpr>>
getPlace(const Node *node, const Linear &address) {
  std::map<unsigned, SizeExpr> place;
  for (auto [l, coef] : llvm::enumerate(address.coef)) {
    const Loop &loop = node->loops[l];
    if (coef == SizeExpr(0) || loop.extent == SizeExpr(1))
      continue;
    if (!loop.parallel || !place.emplace(loop.cls, coef).second)
      return std::nullopt;
  }
  return place;
}

/// What an update overwrites may be read in its stage only on the way to what
/// is stored there, at the same place: everything else would find some of the
/// old elements and some of the new.
LogicalResult StageAnalysis::checkOverwritten(std::string *why) {
  for (auto &update : nodes) {
    if (update->kind != NodeKind::Update && update->kind != NodeKind::Scatter)
      continue;
    Value base = update->source->source;
    bool good = true;
    // `at`: `node` is at the update's own point.
    std::function<void(const Node *, bool)> check = [&](const Node *node,
                                                        bool at) {
      if (node != update.get() && node->source &&
          node->source->source == base && node->kind == NodeKind::Map)
        good = false;
      for (const Access &access : node->operands) {
        if (access.producer) {
          if (!materialized.contains(access.producer))
            check(access.producer, at && isAligned(node, access));
          continue;
        }
        if (access.source != base)
          continue;
        good &= at && !access.panel && !access.gather &&
                update->kind == NodeKind::Update &&
                access.address.offset == update->source->address.offset &&
                getPlace(node, access.address) &&
                getPlace(node, access.address) ==
                    getPlace(update.get(), update->source->address);
      }
    };
    for (const Nest &nest : nests) {
      // An anchor whose result is not stored is read by its epilogue.
      for (const Node *root : nest.getRoots())
        check(root, root == update.get());
    }
    if (!good)
      return fail(why, update->op,
                  "what is overwritten is read elsewhere in the stage");
  }
  return success();
}

LogicalResult StageAnalysis::build(ArrayRef<Operation *> ops,
                                   std::string *why) {
  for (Operation *op : ops)
    if (isComputeOp(op) && failed(addNode(op, why)))
      return failure();
  formClasses();
  NestFormer former(nodes, outputs);
  former.run();
  nests = std::move(former.nests);
  materialized = std::move(former.materialized);
  return checkOverwritten(why);
}

FailureOr<std::unique_ptr<StageAnalysis>>
StageAnalysis::create(hr::StageOp stage, std::string *why) {
  SmallVector<Operation *> ops;
  Block &block = stage.getBody().front();
  for (Operation &op : block.without_terminator())
    ops.push_back(&op);
  return create(ops, llvm::to_vector(block.getTerminator()->getOperands()),
                why);
}

FailureOr<std::unique_ptr<StageAnalysis>>
StageAnalysis::create(ArrayRef<Operation *> ops, ArrayRef<Value> outputs,
                      std::string *why) {
  auto analysis = std::make_unique<StageAnalysis>();
  analysis->outputs.insert(outputs.begin(), outputs.end());
  if (failed(analysis->build(ops, why)))
    return failure();
  return analysis;
}

Node *StageAnalysis::getNode(Value value) const {
  Operation *op = value.getDefiningOp();
  return op ? nodeOf.lookup(op) : nullptr;
}

bool StageAnalysis::isLookedThrough(const Node *node) const {
  bool isGathered = false;
  for (const auto &reader : nodes)
    for (const Access &access : reader->operands) {
      if (access.producer == node)
        return false;
      isGathered |= access.gather == node;
    }
  return isGathered && !llvm::any_of(node->op->getResults(), [&](Value value) {
           return outputs.contains(value);
         });
}

SmallVector<unsigned> StageAnalysis::getTileClasses() const {
  SmallVector<unsigned> result;
  for (auto [c, info] : llvm::enumerate(classes)) {
    if (!info.tileable || info.extent == SizeExpr(1))
      continue;
    // Tiling a class that some stored output lacks would store it twice.
    bool everywhere = true;
    auto lacks = [&](const Node *stored) {
      return !llvm::is_contained(info.members, stored) &&
             llvm::any_of(stored->op->getResults(),
                          [&](Value v) { return outputs.contains(v); });
    };
    for (const Nest &nest : nests) {
      everywhere &= llvm::none_of(nest.sinks, lacks);
      for (const Prologue &prologue : nest.prologues)
        everywhere &= !lacks(prologue.map);
    }
    if (everywhere)
      result.push_back(c);
  }
  return result;
}

double StageAnalysis::getFlops(const Node *node,
                               const SymbolBindings &bindings) const {
  double points = 1;
  for (const Loop &loop : node->loops)
    points *= static_cast<double>(loop.extent.evaluate(bindings).value_or(1));
  double perPoint = node->kind == NodeKind::Contraction ? 2
                    : node->kind == NodeKind::SoftmaxSum
                        ? 2
                        : std::max(node->flopsPerPoint, 0.5);
  return points * perPoint;
}
