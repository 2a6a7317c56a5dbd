//===- FoldConstants.cpp - Computes at compile time what is known ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// hr-fold-constants. An op is *known* if it is pure, its shape is static, and
// all tensors that it reads are weights or results of known ops. Some readers of
// known values are not known. Between them and the weights, a set of values has
// to be stored: the one with the least bytes, a minimum cut through the known
// ops of all entries; among equals the one that leaves least to run. So
//
// - what narrows or keeps its size (casts of f32 weights to bf16, selections,
//   transposes) is computed here, and what it was made from is gone;
// - what widens (weights of int8, scaled) is computed where it is read;
// - weights that somebody else reads as they are cost nothing, their copies do;
// - what is an alias of a weight anyway (reshape, slice) stays one unless that
//   leaves bytes that nobody reads;
// - what costs nothing to compute where it is read (positions, fills) is left
//   to hr-simplify.
//
// An artifact becomes larger in three cases, each a remark: where the result
// cannot be computed where it is read, element by element, in a few cheap
// operations (functions, divisions, sums, concats), unless it is far larger
// than what it is made from; where a product reads it, which is faster by more
// than the result is larger as long as that is at most twice what it is made
// from; and where the difference is negligible.
//
// Integer weights that are one value, or an arithmetic sequence (position
// ids), become a fill or a computation of positions: then masks and gathers
// that use them simplify at any shape, dynamic ones included. Weights of
// floats are left as they are even if they are all ones: layers must stay
// alike to be rolled.
//
// The evaluator's arithmetic is the same on every host, so the bytes are, too.
//
//===----------------------------------------------------------------------===//

#include "TensorUtils.h"
#include "headrace/Evaluate/Evaluate.h"
#include "headrace/Graph/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/Support/MathExtras.h"
#include <map>
#include <unordered_map>

using namespace mlir;
using namespace headrace;

namespace headrace {
#define GEN_PASS_DEF_FOLDCONSTANTSPASS
#include "headrace/Graph/Passes.h.inc"
} // namespace headrace

/// A result that cannot be computed where it is read is folded if it has up to
/// this many bytes, or twice those that it is made from.
static constexpr int64_t smallBytes = 1 << 20;
/// What all results that are computed here to spare a few instructions may add
/// to an artifact: this part of the weights, or so many bytes where that is
/// more. A stage's code is larger.
static constexpr int64_t negligiblePart = 256, negligibleBytes = 16 << 10;
/// No result may be larger than this.
static constexpr int64_t largestBytes = 256 << 20;

/// No step may run over more points than this.
static constexpr int64_t mostPoints = int64_t(1) << 30;

/// Whether evaluating an op takes no more memory and time than a compilation
/// may: a program can name tensors that no machine has.
static bool isAffordable(Operation *op, RankedTensorType type) {
  int64_t bytes = getElementBytes(type.getElementType());
  for (int64_t size : type.getShape())
    if (llvm::MulOverflow(bytes, size, bytes))
      return false;
  if (bytes > largestBytes)
    return false;
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic)
    return true;
  int64_t points = 1;
  for (int64_t size : generic.getStaticLoopRanges())
    if (ShapedType::isDynamic(size) || llvm::MulOverflow(points, size, points))
      return false;
  return points <= mostPoints;
}

static int64_t getBytes(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.getNumElements() * getElementBytes(tensor.getElementType());
}

/// An alias of its source at run time: no reason to store it again.
static bool isAlias(Operation *op) {
  if (isa<hr::ReshapeOp>(op))
    return true;
  auto view = dyn_cast<hr::ViewOp>(op);
  return view && isSlice(view);
}

/// Made of positions and constants alone, without anything costly.
static bool isFreeToCompute(Operation *op) {
  if (isa<linalg::FillOp, tensor::EmptyOp, arith::ConstantOp>(op))
    return true;
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return generic && generic.getNumDpsInputs() == 0 &&
         llvm::all_of(*generic.getBody(), [](Operation &inner) {
           return isa<arith::ArithDialect, linalg::LinalgDialect>(
                      inner.getDialect()) &&
                  !isa<arith::DivFOp, arith::RemFOp>(inner);
         });
}

/// Computed element by element, in operations that cost less than to read the
/// bytes that they save: casts, shifts, scaling; or not computed at all.
static bool isInlinable(Operation *op) {
  if (isa<hr::ViewOp, hr::ReshapeOp, linalg::FillOp, tensor::EmptyOp,
          arith::ConstantOp>(op))
    return true;
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return generic && isElementwise(generic) &&
         llvm::all_of(*generic.getBody(), [](Operation &inner) {
           return isa<arith::ArithDialect, linalg::LinalgDialect>(
                      inner.getDialect()) &&
                  !isa<arith::DivFOp, arith::RemFOp, arith::DivSIOp,
                       arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
                       arith::FloorDivSIOp, arith::CeilDivSIOp,
                       arith::CeilDivUIOp>(inner);
         });
}

namespace {
/// The vertices of least weight that separate sources from sinks, by augmenting
/// paths; of several such sets, the one closest to the sinks.
class MinimumCut {
public:
  static constexpr int64_t infinite = int64_t(1) << 62;

  explicit MinimumCut(unsigned vertices) : arcs(2 * vertices + 2) {}
  void setWeight(unsigned v, int64_t weight) { addArc(2 * v, 2 * v + 1, weight); }
  void setSource(unsigned v) { addArc(source(), 2 * v, infinite); }
  void setSink(unsigned v) { addArc(2 * v + 1, sink(), infinite); }
  void addEdge(unsigned from, unsigned to) {
    addArc(2 * from + 1, 2 * to, infinite);
  }

  SmallVector<unsigned> run() {
    while (augment())
      ;
    // What reaches the sink through arcs that are not full.
    std::vector<bool> reaches(arcs.size(), false);
    SmallVector<unsigned> work{sink()};
    reaches[sink()] = true;
    while (!work.empty()) {
      unsigned at = work.pop_back_val();
      for (const Arc &arc : arcs[at])
        if (!reaches[arc.to] && arcs[arc.to][arc.reverse].left > 0) {
          reaches[arc.to] = true;
          work.push_back(arc.to);
        }
    }
    SmallVector<unsigned> cut;
    for (unsigned v = 0; 2 * v + 2 < arcs.size(); ++v)
      if (!reaches[2 * v] && reaches[2 * v + 1])
        cut.push_back(v);
    return cut;
  }

private:
  struct Arc {
    unsigned to, reverse;
    int64_t left;
  };
  unsigned source() const { return arcs.size() - 2; }
  unsigned sink() const { return arcs.size() - 1; }
  void addArc(unsigned from, unsigned to, int64_t weight) {
    arcs[from].push_back({to, unsigned(arcs[to].size()), weight});
    arcs[to].push_back({from, unsigned(arcs[from].size() - 1), 0});
  }
  /// Along a shortest path; false where there is none.
  bool augment() {
    std::vector<std::pair<unsigned, unsigned>> from(arcs.size(), {~0u, 0});
    std::vector<unsigned> queue{source()};
    for (size_t n = 0; n < queue.size() && from[sink()].first == ~0u; ++n)
      for (auto [i, arc] : llvm::enumerate(arcs[queue[n]]))
        if (arc.left > 0 && from[arc.to].first == ~0u && arc.to != source()) {
          from[arc.to] = {queue[n], unsigned(i)};
          queue.push_back(arc.to);
        }
    if (from[sink()].first == ~0u)
      return false;
    int64_t least = infinite;
    auto walk = [&](auto visit) {
      for (unsigned at = sink(); at != source(); at = from[at].first)
        visit(arcs[from[at].first][from[at].second]);
    };
    walk([&](Arc &arc) { least = std::min(least, arc.left); });
    walk([&](Arc &arc) {
      arc.left -= least;
      arcs[arc.to][arc.reverse].left += least;
    });
    return true;
  }

  std::vector<SmallVector<Arc, 4>> arcs;
};

struct FoldConstants
    : headrace::impl::FoldConstantsPassBase<FoldConstants> {
  void runOnOperation() override {
    store = getContext().getOrLoadDialect<hr::HRDialect>()->shareWeights();
    SmallVector<func::FuncOp> entries;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal() && func.getBody().hasOneBlock())
        entries.push_back(func);
    for (func::FuncOp func : entries)
      simplifyIntegerWeights(func);
    fold(entries);
    for (func::FuncOp func : entries)
      for (Operation &op : llvm::make_early_inc_range(
               llvm::reverse(func.getBody().front())))
        if (isOpTriviallyDead(&op))
          op.erase();
    removeDeadWeights();
  }

  //===--------------------------------------------------------------------===//
  // Integer weights
  //===--------------------------------------------------------------------===//

  /// The elements of an integer weight, if there are at least one.
  std::optional<SmallVector<int64_t>> readIntegers(StringRef name) {
    const WeightStore::Entry *entry = store->lookup(name);
    if (!entry || !entry->type.getElementType().isSignlessInteger())
      return std::nullopt;
    FailureOr<WeightStore::Bytes> bytes = store->read(name);
    if (failed(bytes) || bytes->data.empty())
      return std::nullopt;
    Type type = entry->type.getElementType();
    unsigned width = static_cast<unsigned>(getElementBytes(type));
    SmallVector<int64_t> values;
    for (size_t at = 0; at < bytes->data.size(); at += width) {
      uint64_t value = 0;
      std::memcpy(&value, bytes->data.data() + at, width);
      values.push_back(llvm::SignExtend64(value, width * 8));
    }
    return values;
  }

  void simplifyIntegerWeights(func::FuncOp func) {
    SmallVector<hr::ConstantOp> constants(func.getOps<hr::ConstantOp>());
    for (hr::ConstantOp op : constants) {
      if (op.getIndex() || op.getWeights().size() != 1 ||
          getBytes(op.getType()) > largestBytes)
        continue;
      StringRef name =
          cast<FlatSymbolRefAttr>(op.getWeights()[0]).getValue();
      std::optional<SmallVector<int64_t>> values = readIntegers(name);
      if (!values)
        continue;
      OpBuilder builder(op);
      if (Value computed = compute(builder, op, *values)) {
        op.getResult().replaceAllUsesWith(computed);
        op->erase();
      }
    }
  }

  /// The constant as a fill or as a linear function of the position.
  Value compute(OpBuilder &builder, hr::ConstantOp op,
                ArrayRef<int64_t> values) {
    RankedTensorType type = op.getType();
    Type elementType = type.getElementType();
    Value empty = tensor::EmptyOp::create(builder, op.getLoc(),
                                          type.getShape(), elementType);
    auto constant = [&](OpBuilder &at, int64_t value) -> Value {
      return arith::ConstantOp::create(
          at, op.getLoc(), at.getIntegerAttr(elementType, value));
    };
    if (llvm::all_equal(values)) {
      Value scalar = constant(builder, values[0]);
      return linalg::FillOp::create(builder, op.getLoc(), ValueRange{scalar},
                                    ValueRange{empty})
          .getResult(0);
    }
    // first + sum of steps[d] * position d; i1 has no arithmetic.
    if (elementType.isInteger(1))
      return {};
    int64_t rank = type.getRank();
    SmallVector<int64_t> steps(rank, 0), strides(rank, 1);
    for (int64_t d = rank - 2; d >= 0; --d)
      strides[d] = strides[d + 1] * type.getDimSize(d + 1);
    for (int64_t d = 0; d < rank; ++d)
      if (type.getDimSize(d) > 1)
        steps[d] = values[strides[d]] - values[0];
    for (int64_t n = 0; n < static_cast<int64_t>(values.size()); ++n) {
      uint64_t expected = static_cast<uint64_t>(values[0]);
      for (int64_t d = 0; d < rank; ++d)
        expected += static_cast<uint64_t>(steps[d]) *
                    static_cast<uint64_t>(n / strides[d] %
                                          type.getDimSize(d));
      if (static_cast<uint64_t>(values[n]) != expected)
        return {};
    }
    AffineMap identity = builder.getMultiDimIdentityMap(rank);
    return linalg::GenericOp::create(
               builder, op.getLoc(), TypeRange{type}, ValueRange{},
               ValueRange{empty}, ArrayRef<AffineMap>{identity},
               SmallVector<utils::IteratorType>(
                   rank, utils::IteratorType::parallel),
               [&](OpBuilder &inner, Location loc, ValueRange) {
                 Value sum;
                 for (int64_t d = 0; d < rank; ++d) {
                   if (steps[d] == 0)
                     continue;
                   Value index = linalg::IndexOp::create(inner, loc, d);
                   Value term = arith::IndexCastOp::create(
                       inner, loc, elementType, index);
                   if (steps[d] != 1)
                     term = arith::MulIOp::create(inner, loc, term,
                                                  constant(inner, steps[d]));
                   sum = sum ? arith::AddIOp::create(inner, loc, sum, term)
                             : term;
                 }
                 if (values[0] != 0)
                   sum = arith::AddIOp::create(inner, loc, sum,
                                               constant(inner, values[0]));
                 linalg::YieldOp::create(inner, loc, sum);
               })
        .getResult(0);
  }

  //===--------------------------------------------------------------------===//
  // Known ops
  //===--------------------------------------------------------------------===//

  /// A known value: ops that compute the same, in one entry or in several.
  struct Known {
    SmallVector<Operation *, 1> ops;
    SmallVector<unsigned, 2> operands; // numbers of known values
    /// The weight that it is named after.
    std::string base;
    int64_t bytes = 0;
    /// Of the weights that it is made from, as often as they are read.
    int64_t sourceBytes = 0;
    /// Somebody reads it who is not known.
    bool isRead = false;
    /// Products read it, perhaps through views.
    bool isMultiplied = false;
    /// Something reads it that cannot compute it element by element: a gather
    /// would need all of it.
    bool isReadWhole = false;
    /// A weight that is stored whatever is decided here.
    bool isKept = false;
    /// What evaluating it gave.
    std::optional<HostTensor> result;

    Operation *op() const { return ops.front(); }
    bool isConstant() const { return isa<hr::ConstantOp>(op()); }
    bool isFree() const { return isFreeToCompute(op()); }
    bool isWorthComputing() const {
      if (isConstant() || !canBeStored())
        return false;
      if (!isInlinable(op()) || isReadWhole)
        return bytes <= std::max(smallBytes, 2 * sourceBytes);
      return isMultiplied && bytes <= 2 * sourceBytes;
    }
    bool canBeStored() const { return !isFree() && bytes <= largestBytes; }
  };

  void fold(ArrayRef<func::FuncOp> entries) {
    // What turns out not to be computable (a function that is not exact, a bad
    // index) is not known; then other values are the best to store.
    SmallVector<unsigned> chosen;
    examineAll(entries);
    separateCasts(entries);
    do {
      examineAll(entries);
      findReaders();
      chosen = choose();
    } while (!evaluateAll(chosen));

    for (auto &[number, text] : decisions)
      known[number].op()->emitRemark(text);
    for (unsigned number : chosen)
      replace(known[number]);
  }

  void examineAll(ArrayRef<func::FuncOp> entries) {
    known.clear();
    numberOf.clear();
    buckets.clear();
    for (func::FuncOp func : entries)
      for (Operation &op : func.getBody().front())
        examine(&op);
  }

  /// hr-simplify computes casts where they are read. One that narrows something
  /// known is worth an op of its own, so that its result can be stored.
  void separateCasts(ArrayRef<func::FuncOp> entries) {
    for (func::FuncOp func : entries)
      for (auto generic :
           llvm::to_vector(func.getBody().front().getOps<linalg::GenericOp>()))
        if (!numberOf.contains(generic))
          for (OpOperand *use : generic.getDpsInputOperands())
            if (Operation *def = use->get().getDefiningOp();
                def && numberOf.contains(def))
              separateCast(generic, *use);
  }

  static void separateCast(linalg::GenericOp generic, OpOperand &use) {
    BlockArgument arg = generic.getMatchingBlockArgument(&use);
    if (arg.use_empty())
      return;
    Operation *first = *arg.getUsers().begin();
    if (!isa<arith::TruncFOp, arith::TruncIOp>(first) ||
        !llvm::all_of(arg.getUsers(), [&](Operation *user) {
          return user->getName() == first->getName() &&
                 user->getAttrs() == first->getAttrs() &&
                 user->getResultTypes() == first->getResultTypes();
        }))
      return;
    Type narrow = first->getResult(0).getType();
    if (getElementBytes(narrow) >= getElementBytes(arg.getType()))
      return;
    OpBuilder builder(generic);
    auto type = cast<RankedTensorType>(use.get().getType());
    Value empty = tensor::EmptyOp::create(builder, generic.getLoc(),
                                          type.getShape(), narrow);
    AffineMap identity = builder.getMultiDimIdentityMap(type.getRank());
    auto cast = linalg::GenericOp::create(
        builder, generic.getLoc(), empty.getType(), use.get(), empty,
        ArrayRef<AffineMap>{identity, identity},
        SmallVector<utils::IteratorType>(type.getRank(),
                                         utils::IteratorType::parallel),
        [&](OpBuilder &inner, Location loc, ValueRange args) {
          IRMapping map;
          map.map(arg, args[0]);
          linalg::YieldOp::create(inner, loc,
                                  inner.clone(*first, map)->getResult(0));
        });
    use.set(cast.getResult(0));
    arg.setType(narrow);
    for (Operation *user : llvm::to_vector(arg.getUsers())) {
      user->getResult(0).replaceAllUsesWith(arg);
      user->erase();
    }
  }

  void examine(Operation *op) {
    if (unknown.contains(op) || op->getNumResults() != 1 || !isPure(op))
      return;
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!type || !type.hasStaticShape())
      return;
    Known facts;
    if (auto constant = dyn_cast<hr::ConstantOp>(op)) {
      if (constant.getIndex() || constant.getWeights().size() != 1)
        return;
      StringRef name =
          cast<FlatSymbolRefAttr>(constant.getWeights()[0]).getValue();
      const WeightStore::Entry *entry = store->lookup(name);
      if (!entry || entry->type != type)
        return;
      facts.base = name.str();
      facts.bytes = facts.sourceBytes = getBytes(type);
    } else {
      if (!isa<linalg::GenericOp, linalg::FillOp, tensor::EmptyOp,
               arith::ConstantOp>(op) &&
          op->getDialect()->getNamespace() != "hr")
        return;
      if (isa<hr::RepeatOp, hr::StageOp>(op) || !isAffordable(op, type))
        return;
      for (Value operand : op->getOperands()) {
        if (!isa<RankedTensorType>(operand.getType()))
          continue;
        auto it = numberOf.find(operand.getDefiningOp());
        if (it == numberOf.end())
          return;
        const Known &source = known[it->second];
        if (facts.base.empty())
          facts.base = source.base;
        facts.operands.push_back(it->second);
        facts.sourceBytes = std::min(facts.sourceBytes + source.sourceBytes,
                                     MinimumCut::infinite >> aliasBits);
      }
      facts.bytes = getBytes(type);
    }
    // The same in another entry, or again in this one?
    llvm::hash_code hash = llvm::hash_combine(
        op->getName().getStringRef(), ArrayRef<unsigned>(facts.operands));
    for (unsigned number : buckets[hash])
      if (known[number].operands == facts.operands &&
          isSame(known[number].op(), op)) {
        known[number].ops.push_back(op);
        numberOf[op] = number;
        return;
      }
    buckets[hash].push_back(known.size());
    numberOf[op] = known.size();
    facts.ops.push_back(op);
    known.push_back(std::move(facts));
  }

  /// Whether two ops on the same known values compute the same.
  bool isSame(Operation *a, Operation *b) {
    DenseMap<Value, Value> inner;
    auto check = [&](Value x, Value y) -> LogicalResult {
      Operation *left = x.getDefiningOp(), *right = y.getDefiningOp();
      auto l = numberOf.find(left), r = numberOf.find(right);
      if (l != numberOf.end() && r != numberOf.end())
        return success(l->second == r->second);
      // Scalars from outside: constants that are the same.
      if (left && right && isa<arith::ConstantOp>(left) &&
          isa<arith::ConstantOp>(right) &&
          left->getAttrDictionary() == right->getAttrDictionary())
        return success();
      return success(inner.lookup(x) == y);
    };
    return OperationEquivalence::isEquivalentTo(
        a, b, check,
        [&](Value x, Value y) { inner[x] = y; },
        OperationEquivalence::IgnoreLocations);
  }

  void findReaders() {
    for (unsigned number = 0; number < known.size(); ++number)
      for (Operation *op : known[number].ops)
        for (Operation *user : op->getUsers()) {
          if (numberOf.contains(op->getBlock()->findAncestorOpInBlock(*user)))
            continue;
          known[number].isRead = true;
          unsigned source = number;
          while (isAlias(known[source].op()))
            source = known[source].operands.front();
          auto reader = dyn_cast<linalg::GenericOp>(user);
          if (!reader)
            known[source].isReadWhole |= !user->hasTrait<OpTrait::IsTerminator>();
          else if (reader.getNumReductionLoops() > 0 &&
                   reader.getNumDpsInputs() > 1)
            known[source].isMultiplied = true;
        }
    SymbolTableCollection tables;
    SymbolUserMap users(tables, getOperation());
    for (Known &facts : known)
      if (facts.isConstant())
        if (Operation *weight = getOperation().lookupSymbol(facts.base))
          // Through states, and through entries that are not looked into.
          facts.isKept =
              llvm::any_of(users.getUsers(weight), [&](Operation *user) {
                return !numberOf.contains(user);
              });
  }

  /// The values that are to be computed here, in order.
  SmallVector<unsigned> choose() {
    MinimumCut cut(known.size());
    for (auto [number, facts] : llvm::enumerate(known)) {
      if (facts.isFree())
        continue;
      if (facts.isConstant() || facts.isWorthComputing())
        cut.setSource(number);
      // Of equals rather what is there than a copy.
      if (facts.isConstant())
        cut.setWeight(number, facts.isKept ? 0 : facts.bytes << aliasBits);
      else
        cut.setWeight(number, facts.canBeStored()
                                  ? (facts.bytes << aliasBits) +
                                        isAlias(facts.op())
                                  : MinimumCut::infinite);
      for (unsigned operand : facts.operands)
        if (!known[operand].isFree())
          cut.addEdge(operand, number);
      if (facts.isRead)
        cut.setSink(number);
    }
    SetVector<unsigned> stored;
    for (unsigned number : cut.run())
      stored.insert(number);
    reportGrowth(stored);
    addNegligible(stored);
    SmallVector<unsigned> result;
    for (unsigned number : stored)
      if (!known[number].isConstant())
        result.push_back(number);
    llvm::sort(result);
    return result;
  }

  /// The stored values that `number` is computed from.
  SetVector<unsigned> getStoredBelow(unsigned number,
                                     const SetVector<unsigned> &stored) {
    SetVector<unsigned> below, seen;
    seen.insert(number);
    for (unsigned n = 0; n < seen.size(); ++n)
      for (unsigned operand : known[seen[n]].operands) {
        if (stored.contains(operand))
          below.insert(operand);
        else
          seen.insert(operand);
      }
    return below;
  }

  /// Notes which of the stored values take more bytes than they make dispensable.
  void reportGrowth(const SetVector<unsigned> &stored) {
    decisions.clear();
    SetVector<unsigned> counted;
    for (unsigned number : stored) {
      const Known &facts = known[number];
      if (facts.isConstant())
        continue;
      SetVector<unsigned> below;
      below.insert(number);
      int64_t freed = 0;
      for (unsigned n = 0; n < below.size(); ++n)
        for (unsigned operand : known[below[n]].operands)
          if (!stored.contains(operand) && below.insert(operand) &&
              known[operand].isConstant() && !known[operand].isKept &&
              counted.insert(operand))
            freed += known[operand].bytes;
      if (facts.bytes > freed)
        decisions.push_back(
            {number, "computed here, " + std::to_string(facts.bytes) +
                         " bytes in place of " + std::to_string(freed) +
                         (isInlinable(facts.op()) && !facts.isReadWhole
                              ? ": a product reads it"
                              : ": it cannot be computed where it is read")});
    }
  }

  /// Whether a value is read where something is left to compute.
  bool isComputedByReaders(unsigned number, const SetVector<unsigned> &stored) {
    if (!known[number].isRead)
      return false;
    while (true) {
      if (stored.contains(number) || known[number].isFree())
        return false;
      if (!isAlias(known[number].op()))
        return true;
      number = known[number].operands.front();
    }
  }

  /// Adds the values that cost next to nothing to store.
  void addNegligible(SetVector<unsigned> &stored) {
    // How many need a stored value.
    DenseMap<unsigned, unsigned> needs;
    SmallVector<unsigned> open;
    int64_t total = 0;
    for (unsigned number : stored) {
      needs[number] += known[number].isRead;
      total += known[number].bytes;
    }
    for (unsigned number = 0; number < known.size(); ++number) {
      if (!known[number].isRead || stored.contains(number))
        continue;
      for (unsigned below : getStoredBelow(number, stored))
        ++needs[below];
      if (isComputedByReaders(number, stored))
        open.push_back(number);
    }
    // Those of one size together: layers have to stay alike to be rolled.
    std::map<std::pair<int64_t, int64_t>, SmallVector<unsigned>> bySize;
    for (unsigned number : open) {
      int64_t growth = known[number].bytes;
      for (unsigned below : getStoredBelow(number, stored))
        if (needs[below] == 1 && !known[below].isKept)
          growth -= known[below].bytes;
      bySize[{std::max<int64_t>(growth, 0), known[number].bytes}].push_back(
          number);
    }
    int64_t left = std::max(negligibleBytes, total / negligiblePart);
    for (auto &[size, numbers] : bySize) {
      int64_t growth = size.first * static_cast<int64_t>(numbers.size());
      for (unsigned number : numbers) {
        Known &facts = known[number];
        int64_t from = 0;
        SetVector<unsigned> below = getStoredBelow(number, stored);
        for (unsigned source : below)
          from += known[source].bytes;
        std::string bytes = std::to_string(facts.bytes) +
                            " bytes in place of " + std::to_string(from);
        if (growth > left || !facts.canBeStored()) {
          decisions.push_back(
              {number, "computed where it is read: it would be " + bytes});
          continue;
        }
        decisions.push_back({number, "computed here, " + bytes +
                                         ": the difference is negligible"});
        for (unsigned source : below)
          if (needs[source] == 1 && !known[source].isConstant())
            stored.remove(source);
        stored.insert(number);
      }
      if (growth <= left)
        left -= growth;
    }
  }

  /// Computes the chosen values; false if one of them cannot be.
  bool evaluateAll(ArrayRef<unsigned> chosen) {
    bool good = true;
    for (unsigned number : chosen)
      good &= evaluate(known[number]);
    return good;
  }

  bool evaluate(Known &facts) {
    Operation *op = facts.op();
    Evaluator evaluator(*store, SymbolBindings());
    // What it depends on, in program order.
    SetVector<Operation *> slice;
    slice.insert(op);
    for (unsigned n = 0; n < slice.size(); ++n) {
      for (Value operand : slice[n]->getOperands())
        if (Operation *def = operand.getDefiningOp())
          slice.insert(def);
      slice[n]->walk([&](Operation *inner) {
        for (Value operand : inner->getOperands())
          if (Operation *def = operand.getDefiningOp())
            if (def->getBlock() == op->getBlock())
              slice.insert(def);
      });
    }
    SmallVector<Operation *> order = slice.takeVector();
    llvm::sort(order, [](Operation *a, Operation *b) {
      return a->isBeforeInBlock(b);
    });
    for (Operation *step : order)
      if (failed(evaluator.evaluate(step))) {
        // For example a function that is not exact, or a bad index.
        auto it = numberOf.find(step);
        if (it == numberOf.end())
          unknown.insert(op);
        else
          unknown.insert_range(known[it->second].ops);
        return false;
      }
    facts.result = *evaluator.lookup(op->getResult(0));
    return true;
  }

  void replace(Known &facts) {
    std::string name;
    for (Operation *op : facts.ops) {
      auto type = cast<RankedTensorType>(op->getResult(0).getType());
      OpBuilder builder(op);
      Value value = fillOf(builder, op, *facts.result);
      if (!value) {
        if (name.empty())
          name = declare(facts.base, type, *facts.result);
        value = hr::ConstantOp::create(
            builder, op->getLoc(), type,
            builder.getArrayAttr(FlatSymbolRefAttr::get(&getContext(), name)),
            Value());
      }
      op->getResult(0).replaceAllUsesWith(value);
    }
    facts.result.reset();
    ++numFolded;
  }

  /// A fill, if all elements are the same.
  Value fillOf(OpBuilder &builder, Operation *op, const HostTensor &tensor) {
    int64_t width = getElementBytes(tensor.elementType);
    if (tensor.bytes.empty() ||
        std::memcmp(tensor.bytes.data(), tensor.bytes.data() + width,
                    tensor.bytes.size() - width) != 0)
      return {};
    uint64_t bits = 0;
    std::memcpy(&bits, tensor.bytes.data(), width);
    unsigned count = tensor.elementType.getIntOrFloatBitWidth();
    TypedAttr attr;
    if (auto type = dyn_cast<FloatType>(tensor.elementType))
      attr = FloatAttr::get(
          type, APFloat(type.getFloatSemantics(), APInt(count, bits)));
    else
      attr = IntegerAttr::get(
          tensor.elementType,
          APInt(count, bits, /*isSigned=*/false, /*implicitTrunc=*/true));
    Value scalar = arith::ConstantOp::create(builder, op->getLoc(), attr);
    Value empty = tensor::EmptyOp::create(builder, op->getLoc(), tensor.shape,
                                          tensor.elementType);
    return linalg::FillOp::create(builder, op->getLoc(), ValueRange{scalar},
                                  ValueRange{empty})
        .getResult(0);
  }

  /// A new weight; its name depends on the program alone.
  std::string declare(StringRef base, RankedTensorType type,
                      const HostTensor &tensor) {
    std::string stem = (base.empty() ? "constant" : base.str()) + ".folded";
    std::string name = stem;
    for (unsigned n = 1;
         store->lookup(name) || getOperation().lookupSymbol(name); ++n)
      name = (stem + "." + Twine(n)).str();
    store->addOwned(name, type,
                    std::vector<char>(tensor.bytes.begin(),
                                      tensor.bytes.end()));
    OpBuilder builder = OpBuilder::atBlockBegin(getOperation().getBody());
    hr::WeightOp last;
    for (auto weight : getOperation().getOps<hr::WeightOp>())
      last = weight;
    if (last)
      builder.setInsertionPointAfter(last);
    hr::WeightOp::create(builder, getOperation().getLoc(), name, type);
    return name;
  }

  void removeDeadWeights() {
    SymbolTableCollection tables;
    SymbolUserMap users(tables, getOperation());
    for (auto weight : llvm::make_early_inc_range(
             getOperation().getOps<hr::WeightOp>())) {
      if (!users.getUsers(weight).empty())
        continue;
      store->erase(weight.getSymName());
      weight->erase();
      ++numDead;
    }
  }

  /// Room for how many of the values in a cut are copies.
  static constexpr int aliasBits = 16;

  std::shared_ptr<WeightStore> store;
  std::vector<Known> known;
  DenseMap<Operation *, unsigned> numberOf;
  std::unordered_map<size_t, SmallVector<unsigned, 1>> buckets;
  DenseSet<Operation *> unknown;
  std::vector<std::pair<unsigned, std::string>> decisions;
};
} // namespace
