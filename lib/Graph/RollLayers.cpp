//===- RollLayers.cpp - Identical layers become one body ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// hr-roll-layers. Terms:
//
// - A *leaf* is an op without tensor operands that is not ordered with others:
//   a constant, a weight, the read of a state, an empty or filled tensor, a
//   size. Leaves have no place of their own.
// - The *sequence* of an entry is all other ops, in an order that the dataflow
//   alone decides.
// - A *run* (start, period, count) is a stretch of the sequence whose op k
//   of iteration t looks like op k of iteration 0, for all k and t.
//
// Steps. 1. Order the sequence canonically: depth first from the ends (the
// return and the writes of states), deepest operand first, so that a layer's
// ops stand together whatever order the graph had; then move what comes before
// the first layer to the front. 2. Find runs by comparing hashes at each
// period; try those that remove the most ops first. 3. Prove the run: each
// operand must be, in every iteration, the same op's result in the same
// iteration, or one common value from before, or a weight or state of each
// iteration's own, or the value that the iteration before carried over; and
// no result may be read outside, except carried ones of the last iteration.
// 4. Move iteration 0 into an hr.repeat; erase the others. 5. Again, until
// there is no run worth it.
//
// Effects keep their order: a state is read before it is written and written
// once per entry (hr.write_state says so), each iteration touches its own
// states, and a state that two iterations touch makes the proof fail.
//
//===----------------------------------------------------------------------===//

#include "TensorUtils.h"
#include "headrace/Graph/Passes.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace headrace;

namespace headrace {
#define GEN_PASS_DEF_ROLLLAYERSPASS
#include "headrace/Graph/Passes.h.inc"
} // namespace headrace

//===----------------------------------------------------------------------===//
// Leaves and the canonical order
//===----------------------------------------------------------------------===//

static bool isLeaf(Operation *op) {
  if (isa<hr::ConstantOp, hr::ReadStateOp, hr::SizeOp, arith::ConstantOp>(op))
    return op->getNumOperands() == 0;
  if (!isa<linalg::FillOp, tensor::EmptyOp>(op))
    return false;
  return llvm::all_of(op->getOperands(), [](Value operand) {
    Operation *def = operand.getDefiningOp();
    return def && isLeaf(def);
  });
}

/// The symbol that tells one iteration's leaf from another's, or null.
static FlatSymbolRefAttr getOwnSymbol(Operation *op) {
  ArrayAttr symbols;
  if (auto constant = dyn_cast<hr::ConstantOp>(op))
    symbols = constant.getIndex() ? ArrayAttr() : constant.getWeights();
  else if (auto read = dyn_cast<hr::ReadStateOp>(op))
    symbols = read.getIndex() ? ArrayAttr() : read.getStates();
  else if (auto write = dyn_cast<hr::WriteStateOp>(op))
    symbols = write.getIndex() ? ArrayAttr() : write.getStates();
  return symbols && symbols.size() == 1
             ? cast<FlatSymbolRefAttr>(symbols[0])
             : FlatSymbolRefAttr();
}

/// Everything an op reads, its regions included, in a fixed order.
static SmallVector<Value> getReads(Operation *op) {
  SmallVector<Value> reads(op->getOperands());
  if (op->getNumRegions() == 0)
    return reads;
  op->walk([&](Operation *inner) {
    if (inner == op)
      return;
    for (Value operand : inner->getOperands())
      if (operand.getParentRegion() &&
          !op->isAncestor(operand.getParentRegion()->getParentOp()))
        reads.push_back(operand);
  });
  return reads;
}

namespace {
/// The ops of a block that are not leaves, in canonical order.
struct Sequence {
  SmallVector<Operation *> ops;
  DenseMap<Operation *, unsigned> position;

  explicit Sequence(Block &block);
  void index() {
    position.clear();
    for (auto [n, op] : llvm::enumerate(ops))
      position[op] = n;
  }
};
} // namespace

Sequence::Sequence(Block &block) {
  // The longest way from a leaf or argument to each op.
  DenseMap<Operation *, unsigned> depth;
  for (Operation &op : block) {
    unsigned d = 0;
    for (Value read : getReads(&op))
      if (Operation *def = read.getDefiningOp())
        d = std::max(d, depth.lookup(def) + 1);
    depth[&op] = isLeaf(&op) ? 0 : d;
  }
  llvm::DenseSet<Operation *> seen;
  auto visit = [&](Operation *root) {
    // An explicit stack: chains are as long as the model.
    SmallVector<std::pair<Operation *, SmallVector<Operation *>>> stack;
    auto push = [&](Operation *op) {
      if (isLeaf(op) || !seen.insert(op).second)
        return;
      SmallVector<Operation *> operands;
      for (Value read : getReads(op))
        if (Operation *def = read.getDefiningOp();
            def && def->getBlock() == &block)
          operands.push_back(def);
      // Popped from the back: the deepest first, then operand order.
      std::reverse(operands.begin(), operands.end());
      llvm::stable_sort(operands, [&](Operation *a, Operation *b) {
        return depth.lookup(a) < depth.lookup(b);
      });
      stack.emplace_back(op, std::move(operands));
    };
    push(root);
    while (!stack.empty()) {
      if (stack.back().second.empty()) {
        ops.push_back(stack.back().first);
        stack.pop_back();
        continue;
      }
      push(stack.back().second.pop_back_val());
    }
  };
  for (Operation &op : block)
    if (isa<hr::WriteStateOp>(op))
      visit(&op);
  // Effects of other kinds, and the terminator, which comes last.
  for (Operation &op : block)
    if (!isMemoryEffectFree(&op) || op.hasTrait<OpTrait::IsTerminator>())
      visit(&op);
  index();
}

//===----------------------------------------------------------------------===//
// Likeness
//===----------------------------------------------------------------------===//

/// What two ops must share to be the same op of two iterations; operands and
/// the symbols of own weights and states apart.
static llvm::hash_code hashLook(Operation *op) {
  llvm::hash_code hash = llvm::hash_value(op->getName().getAsOpaquePointer());
  for (Type type : op->getOperandTypes())
    hash = llvm::hash_combine(hash, type);
  for (Type type : op->getResultTypes())
    hash = llvm::hash_combine(hash, type);
  if (!getOwnSymbol(op))
    hash = llvm::hash_combine(hash, op->getAttrDictionary(),
                              op->getPropertiesAsAttribute());
  op->walk([&](Operation *inner) {
    if (inner == op)
      return;
    hash = llvm::hash_combine(hash,
                              inner->getName().getAsOpaquePointer(),
                              inner->getAttrDictionary());
    for (Type type : inner->getResultTypes())
      hash = llvm::hash_combine(hash, type);
  });
  return hash;
}

/// Whether two ops look alike; `reads` gets what they read from outside, pair
/// by pair, in a fixed order.
static bool lookAlike(Operation *a, Operation *b,
                      SmallVectorImpl<std::pair<Value, Value>> &reads) {
  if (a->getName() != b->getName() ||
      a->getNumOperands() != b->getNumOperands() ||
      a->getOperandTypes() != b->getOperandTypes() ||
      a->getResultTypes() != b->getResultTypes())
    return false;
  if (getOwnSymbol(a)) {
    if (!getOwnSymbol(b))
      return false;
  } else if (a->getAttrDictionary() != b->getAttrDictionary() ||
             a->getPropertiesAsAttribute() != b->getPropertiesAsAttribute()) {
    return false;
  }
  for (auto [x, y] : llvm::zip(a->getOperands(), b->getOperands()))
    reads.emplace_back(x, y);
  if (a->getNumRegions() != b->getNumRegions())
    return false;
  // Values inside match as they are met; what is left is from outside.
  DenseMap<Value, Value> inside;
  auto check = [&](Value x, Value y) {
    auto it = inside.find(x);
    if (it != inside.end())
      return success(it->second == y);
    reads.emplace_back(x, y);
    return success();
  };
  auto mark = [&](Value x, Value y) { inside[x] = y; };
  for (auto [x, y] : llvm::zip(a->getRegions(), b->getRegions()))
    if (!OperationEquivalence::isRegionEquivalentTo(
            &x, &y, check, mark, OperationEquivalence::IgnoreLocations))
      return false;
  return true;
}

/// Whether two leaves hold the same: one may stand for the other.
static bool sameLeaf(Operation *a, Operation *b, unsigned depth = 0) {
  if (a == b)
    return true;
  if (isa<hr::ReadStateOp>(a) || depth > 2)
    return false;
  if (a->getName() != b->getName() ||
      a->getAttrDictionary() != b->getAttrDictionary() ||
      a->getPropertiesAsAttribute() != b->getPropertiesAsAttribute() ||
      a->getResultTypes() != b->getResultTypes() ||
      a->getNumOperands() != b->getNumOperands())
    return false;
  return llvm::all_of(
      llvm::zip(a->getOperands(), b->getOperands()), [&](auto pair) {
        auto [x, y] = pair;
        if (x == y)
          return true;
        Operation *dx = x.getDefiningOp(), *dy = y.getDefiningOp();
        return dx && dy && isLeaf(dx) && isLeaf(dy) &&
               sameLeaf(dx, dy, depth + 1);
      });
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

namespace {
struct Run {
  unsigned start, period, count;
  unsigned saved() const { return (count - 1) * period; }
};

/// Result `result` of op `op` of an iteration.
struct Slot {
  unsigned op, result;
  bool operator==(const Slot &) const = default;
};

/// A value that an iteration hands to the next one.
struct Carried {
  Slot slot;
  Value init;
};

/// How the body is made.
struct Proof {
  SmallVector<Carried> carried;
  /// Reads of iteration 0 that become the carried argument of that number.
  llvm::MapVector<Value, unsigned> fromCarried;
  /// Leaves of iteration 0 that become stacks, with all iterations' symbols.
  llvm::MapVector<Operation *, SmallVector<Attribute>> stacks;
  /// The symbols of the ops of iteration 0 that write states.
  llvm::MapVector<Operation *, SmallVector<Attribute>> writes;
};

/// The proof that a run is iterations of one body. Its steps fail where it is
/// not, or where the loop cannot be written.
class Prover {
public:
  Prover(Block &block, const Sequence &sequence, const Run &run)
      : block(block), sequence(sequence), run(run) {}

  std::optional<Proof> prove();

private:
  /// An iteration and a result of it.
  using Place = std::pair<unsigned, Slot>;

  Operation *at(unsigned iteration, unsigned k) const {
    return sequence.ops[run.start + iteration * run.period + k];
  }
  bool isInRun(unsigned position) const {
    return position >= run.start &&
           position < run.start + run.count * run.period;
  }
  std::optional<Place> locate(Value value) const;
  unsigned findCarried(const Slot &slot, Value init);

  LogicalResult proveOp(unsigned k);
  LogicalResult collectReads(unsigned k,
                             SmallVectorImpl<SmallVector<Value>> &reads);
  LogicalResult proveEffects(unsigned k);
  LogicalResult proveRead(ArrayRef<Value> list);
  LogicalResult
  proveSameIteration(ArrayRef<std::optional<Place>> places) const;
  LogicalResult proveCarried(Value value,
                             ArrayRef<std::optional<Place>> places);
  LogicalResult proveOwnLeaf(ArrayRef<Value> list);
  LogicalResult proveOneMeaning() const;
  LogicalResult proveStatesApart() const;
  LogicalResult proveClosed() const;

  Block &block;
  const Sequence &sequence;
  const Run &run;
  Proof proof;
  /// The states that ops of the run write.
  llvm::DenseSet<Attribute> written;
};

class Roller {
public:
  Roller(func::FuncOp func) : func(func), block(func.getBody().front()) {}

  /// Rolls the best run; false if there is none.
  bool rollOne();
  unsigned numRolled = 0, numLayers = 0;

private:
  SmallVector<Run> findRuns(const Sequence &sequence);
  void roll(const Sequence &sequence, const Run &run, Proof &proof);
  void alignPrelude(Sequence &sequence);

  func::FuncOp func;
  Block &block;
};
} // namespace

/// A body worth a loop: it holds some sum, and is more than a few ops.
static constexpr unsigned minPeriod = 4;
static constexpr unsigned minSaved = 8;
/// Proofs that are tried for one loop: a bound on compile time for programs
/// whose layers look alike and cannot be rolled.
static constexpr unsigned maxAttempts = 4096;

static bool isHeavy(Operation *op) {
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return generic.getNumReductionLoops() > 0;
  return isa<hr::SoftmaxSumOp>(op);
}

/// All runs with at least two iterations, those that save most first. Several
/// starts fit when the run is longer than a whole number of periods.
SmallVector<Run> Roller::findRuns(const Sequence &sequence) {
  ArrayRef<Operation *> ops = sequence.ops;
  unsigned size = ops.size();
  SmallVector<llvm::hash_code> looks;
  for (Operation *op : ops)
    looks.push_back(isa<hr::RepeatOp>(op) ? llvm::hash_value(op)
                                          : hashLook(op));
  SmallVector<Run> runs;
  for (unsigned period = minPeriod; period <= size / 2; ++period) {
    unsigned begin = 0;
    for (unsigned n = 0; n + period <= size; ++n) {
      bool same = n + period < size && looks[n] == looks[n + period];
      if (same)
        continue;
      // looks[begin..n) repeat after one period.
      unsigned length = n - begin + period;
      unsigned count = length / period;
      // Shorter ones, too: a result that is read outside ends a run early.
      for (; count >= 2 && (count - 1) * period >= minSaved; --count)
        for (unsigned start = begin; start + count * period <= n + period;
             ++start)
          runs.push_back({start, period, count});
      begin = n + 1;
    }
  }
  llvm::stable_sort(runs, [](const Run &a, const Run &b) {
    if (a.saved() != b.saved())
      return a.saved() > b.saved();
    return a.period < b.period;
  });
  return runs;
}

//===----------------------------------------------------------------------===//
// The proof
//===----------------------------------------------------------------------===//

/// Where in the run a value is made, if it is.
std::optional<Prover::Place> Prover::locate(Value value) const {
  Operation *def = value.getDefiningOp();
  if (!def)
    return std::nullopt;
  auto it = sequence.position.find(def);
  if (it == sequence.position.end() || !isInRun(it->second))
    return std::nullopt;
  unsigned offset = it->second - run.start;
  return std::make_pair(
      offset / run.period,
      Slot{offset % run.period, cast<OpResult>(value).getResultNumber()});
}

/// The number of the carried value; a new one if there is none like it.
unsigned Prover::findCarried(const Slot &slot, Value init) {
  for (auto [n, carried] : llvm::enumerate(proof.carried))
    if (carried.slot == slot && carried.init == init)
      return n;
  proof.carried.push_back({slot, init});
  return proof.carried.size() - 1;
}

/// What op `k` reads: per read, the values of all iterations. Fails if the op
/// does not look alike in all of them.
LogicalResult
Prover::collectReads(unsigned k, SmallVectorImpl<SmallVector<Value>> &reads) {
  for (unsigned t = 1; t < run.count; ++t) {
    SmallVector<std::pair<Value, Value>> pairs;
    if (!lookAlike(at(0, k), at(t, k), pairs))
      return failure();
    if (reads.empty())
      for (auto &[x, y] : pairs)
        reads.push_back({x});
    if (reads.size() != pairs.size())
      return failure();
    for (auto [list, pair] : llvm::zip(reads, pairs)) {
      if (pair.first != list[0])
        return failure();
      list.push_back(pair.second);
    }
  }
  return success();
}

/// Op `k` has no effect but the write of a state that no other op of the run
/// writes.
LogicalResult Prover::proveEffects(unsigned k) {
  Operation *first = at(0, k);
  if (!isa<hr::WriteStateOp>(first))
    return success(isMemoryEffectFree(first));
  for (unsigned t = 0; t < run.count; ++t) {
    FlatSymbolRefAttr symbol = getOwnSymbol(at(t, k));
    if (!symbol || !written.insert(symbol).second)
      return failure();
    proof.writes[first].push_back(symbol);
  }
  return success();
}

LogicalResult
Prover::proveSameIteration(ArrayRef<std::optional<Place>> places) const {
  for (unsigned t = 0; t < run.count; ++t)
    if (!places[t] || places[t]->first != t ||
        !(places[t]->second == places[0]->second))
      return failure();
  return success();
}

/// From the iteration before; at first `value`, from before the run.
LogicalResult Prover::proveCarried(Value value,
                                   ArrayRef<std::optional<Place>> places) {
  Slot slot = places[1]->second;
  for (unsigned t = 1; t < run.count; ++t)
    if (!places[t] || places[t]->first != t - 1 ||
        !(places[t]->second == slot))
      return failure();
  Value result = at(0, slot.op)->getResult(slot.result);
  FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(value);
  FailureOr<SmallVector<SizeExpr>> next = hr::getDims(result);
  if (failed(dims) || failed(next) || *dims != *next ||
      value.getType() != result.getType())
    return failure();
  // One value read as carried here and as common there is both.
  unsigned number = findCarried(slot, value);
  auto [it, isNew] = proof.fromCarried.try_emplace(value, number);
  return success(isNew || it->second == number);
}

/// A leaf of each iteration's own: the same everywhere, or a weight or state
/// that becomes a stack.
LogicalResult Prover::proveOwnLeaf(ArrayRef<Value> list) {
  SmallVector<Attribute> symbols;
  Operation *leaf = list[0].getDefiningOp();
  bool same = true;
  for (Value other : list) {
    Operation *def = other.getDefiningOp();
    if (!leaf || !def || !isLeaf(def) || def->getName() != leaf->getName() ||
        other.getType() != list[0].getType())
      return failure();
    same &= sameLeaf(leaf, def);
    if (FlatSymbolRefAttr symbol = getOwnSymbol(def))
      symbols.push_back(symbol);
  }
  if (same)
    return success();
  if (symbols.size() != run.count)
    return failure();
  auto [it, isNew] = proof.stacks.try_emplace(leaf, symbols);
  return success(isNew || it->second == symbols);
}

/// One read, given as the values of all iterations.
LogicalResult Prover::proveRead(ArrayRef<Value> list) {
  // Common to all: from before the run.
  if (llvm::all_equal(list))
    return success(!locate(list[0]));
  SmallVector<std::optional<Place>> places = llvm::map_to_vector(
      list, [&](Value value) { return locate(value); });
  if (places[0])
    return proveSameIteration(places);
  if (places[1])
    return proveCarried(list[0], places);
  return proveOwnLeaf(list);
}

/// Op `k` is one op of the body.
LogicalResult Prover::proveOp(unsigned k) {
  SmallVector<SmallVector<Value>> reads;
  if (failed(collectReads(k, reads)) || failed(proveEffects(k)))
    return failure();
  for (ArrayRef<Value> list : reads)
    if (failed(proveRead(list)))
      return failure();
  return success();
}

/// A value that iteration 0 reads both as carried and as common would get two
/// meanings: the map from values cannot tell them apart.
LogicalResult Prover::proveOneMeaning() const {
  for (unsigned k = 0; k < run.period; ++k) {
    SmallVector<Value> first = getReads(at(0, k)), second = getReads(at(1, k));
    for (auto [x, y] : llvm::zip(first, second)) {
      if (proof.fromCarried.count(x) && x == y)
        return failure();
      Operation *leaf = x.getDefiningOp();
      if (leaf && proof.stacks.count(leaf) && x == y)
        return failure();
    }
  }
  return success();
}

/// A state of the run is touched by its own iteration only.
LogicalResult Prover::proveStatesApart() const {
  llvm::DenseSet<Attribute> touched;
  for (auto &[leaf, symbols] : proof.stacks)
    if (isa<hr::ReadStateOp>(leaf))
      for (Attribute symbol : symbols)
        if (!touched.insert(symbol).second)
          return failure();
  for (auto &[op, symbols] : proof.writes)
    for (auto [t, symbol] : llvm::enumerate(symbols))
      for (auto &[leaf, read] : proof.stacks)
        if (isa<hr::ReadStateOp>(leaf) &&
            llvm::is_contained(read, symbol) && read[t] != symbol)
          return failure();
  return success();
}

/// Results that are read outside are of the last iteration, and carried.
LogicalResult Prover::proveClosed() const {
  for (unsigned t = 0; t < run.count; ++t)
    for (unsigned k = 0; k < run.period; ++k)
      for (OpResult result : at(t, k)->getResults())
        for (Operation *user : result.getUsers()) {
          Operation *top = block.findAncestorOpInBlock(*user);
          auto it = sequence.position.find(top);
          if (it != sequence.position.end() && isInRun(it->second))
            continue;
          Slot slot{k, result.getResultNumber()};
          if (t + 1 != run.count ||
              llvm::none_of(proof.carried, [&](const Carried &carried) {
                return carried.slot == slot;
              }))
            return failure();
        }
  return success();
}

std::optional<Proof> Prover::prove() {
  bool heavy = false;
  for (unsigned k = 0; k < run.period; ++k) {
    heavy |= isHeavy(at(0, k));
    if (failed(proveOp(k)))
      return std::nullopt;
  }
  if (!heavy || failed(proveOneMeaning()) || failed(proveStatesApart()) ||
      failed(proveClosed()))
    return std::nullopt;
  return std::move(proof);
}

//===----------------------------------------------------------------------===//
// The loop
//===----------------------------------------------------------------------===//

/// Moves iteration 0 into a loop and erases all of them.
void Roller::roll(const Sequence &sequence, const Run &run, Proof &proof) {
  ArrayRef<Operation *> ops = sequence.ops;
  Operation *first = ops[run.start];
  OpBuilder builder(first);
  SmallVector<Value> inits;
  SmallVector<Type> types{builder.getIndexType()};
  SmallVector<Location> locs{first->getLoc()};
  for (const Carried &carried : proof.carried) {
    inits.push_back(carried.init);
    types.push_back(carried.init.getType());
    locs.push_back(carried.init.getLoc());
  }
  auto repeat = hr::RepeatOp::create(
      builder, first->getLoc(), ArrayRef<Type>(types).drop_front(), run.count,
      inits);
  Block *body = builder.createBlock(&repeat.getBody(), {}, types, locs);
  builder.setInsertionPointToStart(body);

  IRMapping mapping;
  for (auto &[value, number] : proof.fromCarried)
    mapping.map(value, body->getArgument(number + 1));
  for (auto &[leaf, symbols] : proof.stacks) {
    Operation *stack;
    ArrayAttr names = builder.getArrayAttr(symbols);
    Type type = leaf->getResult(0).getType();
    if (isa<hr::ConstantOp>(leaf))
      stack = hr::ConstantOp::create(builder, leaf->getLoc(), type, names,
                                     body->getArgument(0));
    else
      stack = hr::ReadStateOp::create(builder, leaf->getLoc(), type, names,
                                      body->getArgument(0));
    mapping.map(leaf->getResult(0), stack->getResult(0));
  }
  for (unsigned k = 0; k < run.period; ++k) {
    Operation *op = ops[run.start + k];
    if (auto write = dyn_cast<hr::WriteStateOp>(op)) {
      hr::WriteStateOp::create(
          builder, op->getLoc(), mapping.lookupOrDefault(write.getValue()),
          builder.getArrayAttr(proof.writes[op]), body->getArgument(0));
      continue;
    }
    builder.clone(*op, mapping);
  }
  SmallVector<Value> yields;
  for (const Carried &carried : proof.carried)
    yields.push_back(mapping.lookup(
        ops[run.start + carried.slot.op]->getResult(carried.slot.result)));
  hr::YieldOp::create(builder, first->getLoc(), yields);

  // What follows reads the last iteration's values.
  for (auto [n, carried] : llvm::enumerate(proof.carried))
    ops[run.start + (run.count - 1) * run.period + carried.slot.op]
        ->getResult(carried.slot.result)
        .replaceUsesWithIf(repeat.getResult(n), [&](OpOperand &use) {
          Operation *top = block.findAncestorOpInBlock(*use.getOwner());
          auto it = sequence.position.find(top);
          return it == sequence.position.end() || it->second < run.start ||
                 it->second >= run.start + run.count * run.period;
        });
  unsigned numWeights = 0, numStates = 0;
  for (auto &[leaf, symbols] : proof.stacks)
    (isa<hr::ConstantOp>(leaf) ? numWeights : numStates) += 1;
  for (unsigned n = run.count * run.period; n-- > 0;)
    ops[run.start + n]->erase();
  repeat.emitRemark("rolls ")
      << run.count << " layers of " << run.period << " ops with "
      << numWeights << " weights and " << numStates
      << " states each, carrying " << proof.carried.size() << " values";
}

/// What comes before the first layer, the *prelude*, is in the order in which
/// the return's operands happen to reach it: a mask that layer 0 is first to
/// read stands in the midst of layer 0. Moves the prelude to the front, and to
/// its end what in later layers stands before the op that begins the layer.
void Roller::alignPrelude(Sequence &sequence) {
  // Ops with weights or states of their own that occur more than once, and
  // what depends on them, are layers.
  SmallVector<llvm::hash_code> looks;
  DenseMap<llvm::hash_code, unsigned> population;
  llvm::SmallBitVector owns(sequence.ops.size());
  for (auto [n, op] : llvm::enumerate(sequence.ops)) {
    looks.push_back(hashLook(op));
    for (Value read : getReads(op))
      if (Operation *def = read.getDefiningOp())
        if (isLeaf(def) && getOwnSymbol(def))
          owns.set(n);
    if (owns.test(n))
      ++population[looks[n]];
  }
  auto dependsOn = [&](Operation *op, const llvm::SmallBitVector &marked) {
    return llvm::any_of(getReads(op), [&](Value read) {
      auto it = sequence.position.find(read.getDefiningOp());
      return it != sequence.position.end() && marked.test(it->second);
    });
  };
  unsigned size = sequence.ops.size();
  llvm::SmallBitVector layered(size);
  std::optional<unsigned> begin;
  for (auto [n, op] : llvm::enumerate(sequence.ops)) {
    if ((owns.test(n) && population[looks[n]] > 1) || dependsOn(op, layered))
      layered.set(n);
    if (!begin && layered.test(n))
      begin = n;
  }
  if (!begin)
    return;
  llvm::SmallBitVector after(size);
  after.set(*begin);
  for (unsigned n = *begin + 1; n < size; ++n)
    if (dependsOn(sequence.ops[n], after))
      after.set(n);

  // The longest tail of the prelude that looks like what stands before a later
  // occurrence of the op that begins the first layer.
  SmallVector<unsigned> tail;
  for (unsigned later = *begin + 1; later < size; ++later) {
    if (looks[later] != looks[*begin] || !after.test(later))
      continue;
    SmallVector<unsigned> candidate;
    llvm::SmallBitVector placed(layered);
    for (unsigned back = later; back-- > 0 && layered.test(back);) {
      std::optional<unsigned> found;
      for (unsigned n = size; n-- > 0 && !found;) {
        if (placed.test(n) || looks[n] != looks[back])
          continue;
        bool isLast = llvm::all_of(
            sequence.ops[n]->getUsers(), [&](Operation *user) {
              auto it = sequence.position.find(
                  block.findAncestorOpInBlock(*user));
              return it == sequence.position.end() ||
                     placed.test(it->second);
            });
        if (isLast)
          found = n;
      }
      if (!found)
        break;
      placed.set(*found);
      candidate.push_back(*found);
    }
    if (candidate.size() > tail.size())
      tail = candidate;
  }
  SmallVector<Operation *> order;
  for (unsigned n = 0; n < size; ++n)
    if (!layered.test(n) && !llvm::is_contained(tail, n))
      order.push_back(sequence.ops[n]);
  for (unsigned n : llvm::reverse(tail))
    order.push_back(sequence.ops[n]);
  for (unsigned n = 0; n < size; ++n)
    if (layered.test(n))
      order.push_back(sequence.ops[n]);
  sequence.ops = order;
  sequence.index();
}

bool Roller::rollOne() {
  Sequence sequence(block);
  alignPrelude(sequence);
  std::optional<Proof> best;
  Run bestRun{};
  unsigned attempts = 0;
  for (const Run &run : findRuns(sequence)) {
    if (++attempts > maxAttempts)
      break;
    // Starts of one run differ in what they carry: fewest values win, and of
    // equals the last, which leaves nothing of the last layer behind.
    if (best && (run.saved() != bestRun.saved() ||
                 run.period != bestRun.period))
      break;
    std::optional<Proof> proof = Prover(block, sequence, run).prove();
    if (!proof)
      continue;
    if (!best || proof->carried.size() <= best->carried.size()) {
      best = std::move(proof);
      bestRun = run;
    }
  }
  if (!best)
    return false;

  // Put the block into the canonical order: leaves, sequence, terminator.
  SmallVector<Operation *> leaves;
  for (Operation &op : block)
    if (isLeaf(&op))
      leaves.push_back(&op);
  Operation *terminator = block.getTerminator();
  for (Operation *op : leaves)
    op->moveBefore(terminator);
  for (Operation *op : sequence.ops)
    if (op != terminator)
      op->moveBefore(terminator);
  // What is in neither list is dead, or it would have been visited.
  SmallVector<Operation *> dead;
  for (Operation &op : block)
    if (!isLeaf(&op) && !sequence.position.count(&op))
      dead.push_back(&op);
  for (Operation *op : llvm::reverse(dead))
    op->erase();
  roll(sequence, bestRun, *best);
  ++numRolled;
  numLayers += bestRun.count;
  for (Operation *op : llvm::reverse(leaves))
    if (op->use_empty())
      op->erase();
  return true;
}

namespace {
struct RollLayers : headrace::impl::RollLayersPassBase<RollLayers> {
  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isExternal() || !func.getBody().hasOneBlock())
        continue;
      Roller roller(func);
      while (roller.rollOne())
        ;
      numRuns += roller.numRolled;
      numLayers += roller.numLayers;
    }
  }
};
} // namespace
