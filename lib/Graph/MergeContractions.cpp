//===- MergeContractions.cpp - Contractions of one input become one -------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// hr-merge-contractions. Terms:
//
// - A *group* is a list of structured ops that differ in nothing but the
//   extent of one parallel loop and the operands that the loop indexes.
// - The group's *loop* indexes weights (a linear layer's outputs), or slices of
//   what a group before it has become; everything else is shared.
//
// Steps. 1. Group contractions with weights that read the same tensor: queries,
// keys and values, or gate and up. 2. Refuse groups whose weights somebody else
// reads: their bytes would be stored twice. All entries are looked at before
// any is changed, so that those that share weights merge alike. 3. Replace the
// group by one op over the weights joined, and slices of its result. 4. Where
// the slices are read by a group of elementwise ops (adding a bias), merge that
// too, and so on.
//
// Every element is computed by the same operations in the same order as before.
//
//===----------------------------------------------------------------------===//

#include "TensorUtils.h"
#include "headrace/Graph/Passes.h"
#include "mlir/IR/OperationSupport.h"

using namespace mlir;
using namespace headrace;

namespace headrace {
#define GEN_PASS_DEF_MERGECONTRACTIONSPASS
#include "headrace/Graph/Passes.h.inc"
} // namespace headrace

namespace {
struct Group {
  SmallVector<linalg::GenericOp> ops;
  unsigned loop;
  /// The lists of weights that are joined, operand by operand.
  SmallVector<SmallVector<StringRef>> joined;
};
} // namespace

/// The only weight behind a value, if nothing else reads that constant op.
static hr::ConstantOp getOwnWeight(Value value) {
  auto constant = value.getDefiningOp<hr::ConstantOp>();
  if (!constant || constant.getIndex() || constant.getWeights().size() != 1 ||
      !constant->hasOneUse())
    return {};
  return constant;
}

static StringRef getName(hr::ConstantOp op) {
  return cast<FlatSymbolRefAttr>(op.getWeights()[0]).getValue();
}

/// The result dimension of `map` that is just `loop`; std::nullopt if the loop
/// is not used, -1 if it is used otherwise.
static std::optional<int64_t> findLoop(AffineMap map, unsigned loop) {
  std::optional<int64_t> found;
  for (auto [r, expr] : llvm::enumerate(map.getResults())) {
    if (!expr.isFunctionOfDim(loop))
      continue;
    if (found || !isa<AffineDimExpr>(expr))
      return -1;
    found = r;
  }
  return found;
}

/// Types equal but for the extent of one dimension.
static bool sameButFor(Type a, Type b, std::optional<int64_t> dim) {
  auto x = cast<RankedTensorType>(a), y = cast<RankedTensorType>(b);
  if (x.getElementType() != y.getElementType() || x.getRank() != y.getRank())
    return false;
  for (int64_t d = 0; d < x.getRank(); ++d)
    if (d != dim.value_or(-1) && x.getDimSize(d) != y.getDimSize(d))
      return false;
  return true;
}

/// Whether the ops differ in nothing but the loop's extent and the operands
/// that it indexes.
static bool areAlike(linalg::GenericOp a, linalg::GenericOp b, unsigned loop) {
  if (a == b || a->getNumOperands() != b->getNumOperands() ||
      a->getBlock() != b->getBlock() ||
      a.getIndexingMaps() != b.getIndexingMaps() ||
      a.getIteratorTypes() != b.getIteratorTypes() ||
      a.getNumDpsInits() != b.getNumDpsInits())
    return false;
  for (auto [x, y] : llvm::zip(a->getOpOperands(), b->getOpOperands())) {
    std::optional<int64_t> dim =
        findLoop(a.getMatchingIndexingMap(&x), loop);
    if ((dim && *dim < 0) ||
        !sameButFor(x.get().getType(), y.get().getType(), dim))
      return false;
    if (a.isDpsInput(&x)) {
      if (!dim && x.get() != y.get())
        return false;
      continue;
    }
    if (getSplat(x.get()) != getSplat(y.get()) || !dim)
      return false;
  }
  for (auto index : a.getBody()->getOps<linalg::IndexOp>())
    if (index.getDim() == loop)
      return false;
  return OperationEquivalence::isRegionEquivalentTo(
      &a.getRegion(), &b.getRegion(),
      OperationEquivalence::IgnoreLocations);
}

/// If the values are neighbouring slices, in order, of all of one tensor along
/// `dim`: that tensor.
static Value getWhole(ArrayRef<Value> slices, int64_t dim) {
  Value whole;
  SizeExpr at(0);
  for (Value slice : slices) {
    auto view = slice.getDefiningOp<hr::ViewOp>();
    if (!view || !view.getMap().isIdentity() ||
        (whole && view.getSource() != whole))
      return {};
    whole = view.getSource();
    FailureOr<SmallVector<SizeExpr>> source = hr::getDims(whole);
    Sizes offsets = hr::getSizes(view.getOffsets());
    Sizes dims = hr::getSizes(view.getDims());
    if (failed(source))
      return {};
    for (int64_t d = 0; d < static_cast<int64_t>(dims.size()); ++d) {
      if (d == dim ? offsets[d] != at
                   : !isZero(offsets[d]) || dims[d] != (*source)[d])
        return {};
    }
    at = at + dims[dim];
  }
  FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(whole);
  return succeeded(dims) && (*dims)[dim] == at ? whole : Value();
}

/// The group's operands that the loop indexes must be weights or slices.
static bool examine(Group &group) {
  linalg::GenericOp first = group.ops[0];
  for (OpOperand *operand : first.getDpsInputOperands()) {
    std::optional<int64_t> dim =
        findLoop(first.getMatchingIndexingMap(operand), group.loop);
    if (!dim)
      continue;
    SmallVector<Value> values;
    SmallVector<StringRef> names;
    for (linalg::GenericOp op : group.ops) {
      values.push_back(op->getOperand(operand->getOperandNumber()));
      if (hr::ConstantOp weight = getOwnWeight(values.back()))
        names.push_back(getName(weight));
    }
    if (names.size() == group.ops.size())
      group.joined.push_back(names);
    else if (!getWhole(values, *dim))
      return false;
  }
  return true;
}

namespace {
struct MergeContractions
    : headrace::impl::MergeContractionsPassBase<MergeContractions> {
  void runOnOperation() override {
    store = getContext().getOrLoadDialect<hr::HRDialect>()->shareWeights();
    countReaders();
    std::vector<Group> groups;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal())
        findGroups(func, groups);
    bool changed = false;
    while (!groups.empty()) {
      countGroups(groups);
      std::vector<Group> next;
      for (Group &group : groups)
        if (isWorthIt(group)) {
          merge(group, next);
          changed = true;
        }
      groups = std::move(next);
    }
    if (changed)
      removeDead();
  }

  /// Contractions that read one tensor, in program order.
  void findGroups(func::FuncOp func, std::vector<Group> &groups) {
    SmallVector<linalg::GenericOp> candidates;
    func.walk([&](linalg::GenericOp op) {
      if (op.getNumReductionLoops() > 0 && op->getNumResults() == 1 &&
          op.getNumDpsInputs() == 2 && !getLoops(op).empty())
        candidates.push_back(op);
    });
    llvm::SmallPtrSet<Operation *, 16> taken;
    for (auto [n, first] : llvm::enumerate(candidates)) {
      if (taken.contains(first))
        continue;
      for (unsigned loop : getLoops(first)) {
        Group group{{first}, loop, {}};
        for (linalg::GenericOp other :
             ArrayRef<linalg::GenericOp>(candidates).drop_front(n + 1))
          if (!taken.contains(other) && areAlike(first, other, loop))
            group.ops.push_back(other);
        if (group.ops.size() < 2 || !examine(group))
          continue;
        for (linalg::GenericOp op : group.ops)
          taken.insert(op);
        groups.push_back(std::move(group));
        break;
      }
    }
  }

  /// The parallel loops that index a weight and the result, and nothing else.
  static SmallVector<unsigned> getLoops(linalg::GenericOp op) {
    SmallVector<unsigned> loops;
    for (auto [d, type] : llvm::enumerate(op.getIteratorTypesArray())) {
      if (type != utils::IteratorType::parallel)
        continue;
      bool weight = false, other = false;
      for (OpOperand *operand : op.getDpsInputOperands()) {
        std::optional<int64_t> dim =
            findLoop(op.getMatchingIndexingMap(operand), d);
        if (!dim)
          continue;
        (getOwnWeight(operand->get()) && *dim >= 0 ? weight : other) = true;
      }
      if (weight && !other)
        loops.push_back(d);
    }
    return loops;
  }

  //===--------------------------------------------------------------------===//
  // Weights
  //===--------------------------------------------------------------------===//

  void countReaders() {
    readers.clear();
    getOperation().walk([&](Operation *op) {
      ArrayAttr symbols;
      if (auto constant = dyn_cast<hr::ConstantOp>(op))
        symbols = constant.getWeights();
      else if (auto state = dyn_cast<hr::StateOp>(op)) {
        if (state.getInitial())
          readers[*state.getInitial()] += 2;
        return;
      }
      if (symbols)
        for (Attribute symbol : symbols)
          ++readers[cast<FlatSymbolRefAttr>(symbol).getValue()];
    });
  }

  static std::string getKey(ArrayRef<StringRef> names) {
    return llvm::join(names, "\n");
  }

  void countGroups(ArrayRef<Group> groups) {
    joins.clear();
    for (const Group &group : groups)
      for (ArrayRef<StringRef> names : group.joined)
        ++joins[getKey(names)];
  }

  /// Every reader of the group's weights joins them in this way, and the bytes
  /// are there.
  bool isWorthIt(const Group &group) {
    for (ArrayRef<StringRef> names : group.joined)
      for (StringRef name : names)
        if (readers[name] != joins[getKey(names)] || !store->lookup(name) ||
            llvm::count(names, name) != 1)
          return false;
    return true;
  }

  /// The weights one after the other along `dim`; made once for all entries.
  std::string join(ArrayRef<StringRef> names, int64_t dim) {
    std::string key = getKey(names) + "\n" + std::to_string(dim);
    auto it = joinedNames.find(key);
    if (it != joinedNames.end())
      return it->second;
    SmallVector<int64_t> shape;
    Type elementType;
    // In bytes: what lies within one index of the dimensions before `dim`.
    SmallVector<std::pair<WeightStore::Bytes, int64_t>> parts;
    int64_t outer = 1;
    for (StringRef name : names) {
      RankedTensorType type = store->lookup(name)->type;
      if (parts.empty()) {
        shape.assign(type.getShape().begin(), type.getShape().end());
        shape[dim] = 0;
        elementType = type.getElementType();
        for (int64_t d = 0; d < dim; ++d)
          outer *= shape[d];
      }
      shape[dim] += type.getDimSize(dim);
      int64_t inner = getElementBytes(elementType);
      for (int64_t d = dim; d < type.getRank(); ++d)
        inner *= type.getDimSize(d);
      parts.emplace_back(*store->read(name), inner);
    }
    size_t total = 0;
    for (auto &[part, inner] : parts)
      total += part.data.size();
    std::vector<char> bytes;
    bytes.reserve(total);
    for (int64_t n = 0; n < outer; ++n)
      for (auto &[part, inner] : parts)
        bytes.insert(bytes.end(), part.data.begin() + n * inner,
                     part.data.begin() + (n + 1) * inner);
    auto type = RankedTensorType::get(shape, elementType);
    std::string stem = (names[0] + ".merged").str(), name = stem;
    for (unsigned n = 1;
         store->lookup(name) || getOperation().lookupSymbol(name); ++n)
      name = (stem + "." + Twine(n)).str();
    store->addOwned(name, type, std::move(bytes));
    for (StringRef part : names)
      store->release(part);
    auto last = getOperation().lookupSymbol<hr::WeightOp>(names[0]);
    OpBuilder builder(last);
    hr::WeightOp::create(builder, last.getLoc(), name, type);
    joinedNames[key] = name;
    return name;
  }

  //===--------------------------------------------------------------------===//
  // Rewriting
  //===--------------------------------------------------------------------===//

  void merge(Group &group, std::vector<Group> &next) {
    // All shared operands dominate the first op; weights are made anew.
    linalg::GenericOp first = group.ops[0];
    OpBuilder builder(first);
    GenericParts parts(first);
    unsigned joined = 0;
    for (unsigned n = 0; n < parts.inputs.size(); ++n) {
      std::optional<int64_t> dim = findLoop(parts.inputMaps[n], group.loop);
      if (!dim)
        continue;
      SmallVector<Value> values;
      for (linalg::GenericOp op : group.ops)
        values.push_back(op->getOperand(n));
      if (!getOwnWeight(values[0])) {
        parts.inputs[n] = getWhole(values, *dim);
        continue;
      }
      std::string name = join(group.joined[joined++], *dim);
      RankedTensorType type = store->lookup(name)->type;
      parts.inputs[n] = hr::ConstantOp::create(
          builder, values[0].getLoc(), type,
          builder.getArrayAttr(FlatSymbolRefAttr::get(&getContext(), name)),
          Value());
    }
    int64_t out = *findLoop(parts.initMaps[0], group.loop);
    Sizes dims = *hr::getDims(first->getResult(0));
    Sizes extents;
    SizeExpr total(0);
    for (linalg::GenericOp op : group.ops) {
      extents.push_back((*hr::getDims(op->getResult(0)))[out]);
      total = total + extents.back();
    }
    dims[out] = total;
    parts.inits[0] = recreateInit(builder, parts.inits[0], dims);
    linalg::GenericOp result = rebuildGeneric(
        builder, first, parts, [](OpBuilder &, Block &block, unsigned n) {
          return Value(block.getArgument(n));
        });
    result.emitRemark("merges ")
        << group.ops.size() << " ops into one of " << total.str()
        << " columns";
    ++numMerged;

    SmallVector<Value> views;
    Sizes offsets(dims.size(), SizeExpr(0));
    for (auto [op, extent] : llvm::zip(group.ops, extents)) {
      dims[out] = extent;
      Value view = createView(
          builder, op.getLoc(), result.getResult(0), offsets,
          builder.getMultiDimIdentityMap(dims.size()), dims);
      offsets[out] = offsets[out] + extent;
      op->getResult(0).replaceAllUsesWith(view);
      views.push_back(view);
    }
    for (linalg::GenericOp op : group.ops)
      op.erase();
    if (std::optional<Group> readers = findReaders(views, out))
      next.push_back(std::move(*readers));
  }

  /// Elementwise ops that read the slices, one each, alike.
  static std::optional<Group> findReaders(ArrayRef<Value> views, int64_t out) {
    Group group;
    for (Value view : views) {
      if (!view.hasOneUse())
        return std::nullopt;
      OpOperand &use = *view.use_begin();
      auto op = dyn_cast<linalg::GenericOp>(use.getOwner());
      if (!op || !isElementwise(op) || !op.isDpsInput(&use))
        return std::nullopt;
      auto dim = dyn_cast<AffineDimExpr>(
          op.getMatchingIndexingMap(&use).getResult(out));
      if (!dim)
        return std::nullopt;
      group.loop = dim.getPosition();
      if (!group.ops.empty() &&
          !areAlike(group.ops[0], op, group.loop))
        return std::nullopt;
      group.ops.push_back(op);
    }
    // Other operands may be made between the ops: they must be there for the
    // first one.
    Operation *earliest = group.ops[0];
    for (linalg::GenericOp op : group.ops)
      if (op->isBeforeInBlock(earliest))
        earliest = op;
    if (earliest != group.ops[0])
      return std::nullopt;
    return examine(group) ? std::optional<Group>(group) : std::nullopt;
  }

  void removeDead() {
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isExternal())
        continue;
      for (Operation &op : llvm::make_early_inc_range(
               llvm::reverse(func.getBody().front())))
        if (isOpTriviallyDead(&op))
          op.erase();
    }
    SymbolTableCollection tables;
    SymbolUserMap users(tables, getOperation());
    for (auto weight : llvm::make_early_inc_range(
             getOperation().getOps<hr::WeightOp>())) {
      if (!users.getUsers(weight).empty())
        continue;
      store->erase(weight.getSymName());
      weight->erase();
    }
  }

  std::shared_ptr<WeightStore> store;
  /// How many ops read each weight.
  llvm::StringMap<unsigned> readers;
  /// How many groups join each list of weights.
  llvm::StringMap<unsigned> joins;
  llvm::StringMap<std::string> joinedNames;
};
} // namespace
