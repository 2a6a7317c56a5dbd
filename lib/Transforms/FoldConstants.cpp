//===- FoldConstants.cpp - Computes at compile time what is known ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// hr-fold-constants. An op is *known* if it is pure, its shape is static, and
// all tensors that it reads are weights or results of known ops. Where a known
// op has a reader that is not known, the evaluator runs it and all it depends
// on, and the result becomes a weight of its own, if that costs nothing:
//
// - what is an alias of a weight anyway (reshape, slice) stays one;
// - what costs nothing to compute where it is read (positions, fills) is left
//   to hr-simplify;
// - a result far larger than what it is made from would cost more to read than
//   to compute, and is left alone.
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
#include "headrace/Transforms/Evaluate.h"
#include "headrace/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace headrace;

namespace headrace {
#define GEN_PASS_DEF_FOLDCONSTANTSPASS
#include "headrace/Transforms/Passes.h.inc"
} // namespace headrace

/// A result of up to this many bytes is folded whatever it is made from.
static constexpr int64_t smallBytes = 1 << 20;
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

namespace {
struct FoldConstants
    : headrace::impl::FoldConstantsPassBase<FoldConstants> {
  void runOnOperation() override {
    store = getContext().getOrLoadDialect<hr::HRDialect>()->shareWeights();
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isExternal() || !func.getBody().hasOneBlock())
        continue;
      simplifyIntegerWeights(func);
      fold(func);
    }
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

  /// What is known about an op: the weight it is named after, and the bytes of
  /// the weights it is made from.
  struct Known {
    std::string base;
    int64_t bytes = 0;
  };

  void fold(func::FuncOp func) {
    llvm::MapVector<Operation *, Known> known;
    for (Operation &op : func.getBody().front())
      if (std::optional<Known> facts = examine(&op, known))
        known[&op] = *facts;

    for (auto &[op, facts] : known) {
      if (op->getNumResults() != 1 || isa<hr::ConstantOp>(op) ||
          isFreeToCompute(op))
        continue;
      bool isRead = llvm::any_of(op->getUsers(), [&](Operation *user) {
        Operation *top = func.getBody().front().findAncestorOpInBlock(*user);
        return !known.contains(top);
      });
      if (!isRead || isFreeAlias(op))
        continue;
      int64_t bytes = getBytes(op->getResult(0).getType());
      if (bytes > largestBytes || bytes > std::max(smallBytes, 2 * facts.bytes))
        continue;
      replace(op, facts);
    }
    for (Operation &op : llvm::make_early_inc_range(
             llvm::reverse(func.getBody().front())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }

  std::optional<Known>
  examine(Operation *op,
          const llvm::MapVector<Operation *, Known> &known) {
    if (op->getNumResults() != 1 || !isPure(op))
      return std::nullopt;
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!type || !type.hasStaticShape())
      return std::nullopt;
    if (auto constant = dyn_cast<hr::ConstantOp>(op)) {
      if (constant.getIndex() || constant.getWeights().size() != 1)
        return std::nullopt;
      StringRef name =
          cast<FlatSymbolRefAttr>(constant.getWeights()[0]).getValue();
      const WeightStore::Entry *entry = store->lookup(name);
      if (!entry || entry->type != type)
        return std::nullopt;
      return Known{name.str(), getBytes(type)};
    }
    if (!isa<linalg::GenericOp, linalg::FillOp, tensor::EmptyOp,
             arith::ConstantOp>(op) &&
        op->getDialect()->getNamespace() != "hr")
      return std::nullopt;
    if (isa<hr::RepeatOp, hr::StageOp>(op) || !isAffordable(op, type))
      return std::nullopt;
    Known facts;
    for (Value operand : op->getOperands()) {
      if (!isa<RankedTensorType>(operand.getType()))
        continue;
      auto it = known.find(operand.getDefiningOp());
      if (it == known.end())
        return std::nullopt;
      if (facts.base.empty())
        facts.base = it->second.base;
      facts.bytes += it->second.bytes;
    }
    return facts;
  }

  /// An alias of a weight, or of what costs nothing.
  static bool isFreeAlias(Operation *op) {
    while (isAlias(op)) {
      op = op->getOperand(0).getDefiningOp();
      if (isa<hr::ConstantOp>(op) || isFreeToCompute(op))
        return true;
    }
    return false;
  }

  void replace(Operation *op, const Known &facts) {
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
      if (failed(evaluator.evaluate(step)))
        return; // For example a function that is not exact, or a bad index.
    const HostTensor *result = evaluator.lookup(op->getResult(0));
    auto type = cast<RankedTensorType>(op->getResult(0).getType());

    OpBuilder builder(op);
    Value value = fillOf(builder, op, *result);
    if (!value) {
      std::string name = declare(facts.base, type, *result);
      value = hr::ConstantOp::create(
          builder, op->getLoc(), type,
          builder.getArrayAttr(FlatSymbolRefAttr::get(&getContext(), name)),
          Value());
    }
    op->getResult(0).replaceAllUsesWith(value);
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

  std::shared_ptr<WeightStore> store;
};
} // namespace
