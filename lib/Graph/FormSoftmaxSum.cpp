//===- FormSoftmaxSum.cpp - Streamed attention by algebra -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// hr-form-softmax-sum. Sought is, however it is cut into ops,
//
//     m = max_j e        l = sum_j exp(e - m)
//     r = sum_j (exp(e - m) / l) * v      or      (sum_j exp(e - m) * v) / l
//
// Terms. The contraction over j is the *root*; its loops are the coordinates
// of everything else. A *term* is a value together with the map from the
// root's loops to where it is taken: an element of a tensor, or a scalar in
// the body of a structured op. Terms are followed through elementwise ops,
// renaming views and casts, so it does not matter which op holds which part.
//
// Steps. 1. Factor one side of the product into exp(e - m) and a divisor.
// 2. The maximum must be a reduction over j of a term equal to e, and the
// divisor one of a term equal to exp(e - m): equal means the same scalar
// operations on the same elements. A weight that is replaced by zero where m
// is -inf is a row that a mask hides: the op has a flag for it. 3. Replace the root. Nothing else is
// looked at: neither names nor what stands between the logits and the model's
// inputs.
//
// exp(e) without the maximum is left alone: it overflows where the streamed
// form does not, so the two are not the same function.
//
//===----------------------------------------------------------------------===//

#include "TensorUtils.h"
#include "headrace/Graph/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace headrace;

namespace headrace {
#define GEN_PASS_DEF_FORMSOFTMAXSUMPASS
#include "headrace/Graph/Passes.h.inc"
} // namespace headrace

namespace {
/// A value at the place that `map` gives for a point of the root's loops: an
/// element of a tensor, or a scalar of a body at a point of its op's loops.
struct Term {
  Value value;
  AffineMap map;
};

/// exp(logits - max), divided by `divisor` if there is one; zero where
/// `guard`, if there is one, is -inf; rounded to `type`, if there is one, on
/// the way.
struct Factors {
  Term logits, max;
  std::optional<Term> divisor, guard;
  FloatType type;
};
} // namespace

/// How far terms are followed; bodies and chains are as long as the input
/// likes.
static constexpr unsigned maxSteps = 64;
static constexpr unsigned maxDepth = 24;

/// A block argument that is an input: the element it stands for.
static std::optional<Term> toElement(const Term &term) {
  auto argument = dyn_cast<BlockArgument>(term.value);
  if (!argument || isa<TensorType>(argument.getType()))
    return std::nullopt;
  auto generic =
      dyn_cast<linalg::GenericOp>(argument.getOwner()->getParentOp());
  if (!generic)
    return std::nullopt;
  OpOperand &operand = generic->getOpOperand(argument.getArgNumber());
  if (!generic.isDpsInput(&operand))
    return std::nullopt;
  return Term{operand.get(),
              generic.getMatchingIndexingMap(&operand).compose(term.map)};
}

/// One step toward what computes the term; std::nullopt at the end.
static std::optional<Term> step(const Term &term) {
  if (std::optional<Term> element = toElement(term))
    return element;
  Operation *def = term.value.getDefiningOp();
  if (!def || !isa<TensorType>(term.value.getType()))
    return std::nullopt;
  if (auto generic = dyn_cast<linalg::GenericOp>(def)) {
    if (!isElementwise(generic))
      return std::nullopt;
    AffineMap written =
        generic.getMatchingIndexingMap(generic.getDpsInitOperand(0));
    return Term{generic.getBody()->getTerminator()->getOperand(0),
                inversePermutation(written).compose(term.map)};
  }
  if (auto view = dyn_cast<hr::ViewOp>(def))
    if (isRenaming(view))
      return Term{view.getSource(), view.getMap().compose(term.map)};
  return std::nullopt;
}

/// The op that computes the term, or the tensor it is an element of.
static Term expand(Term term) {
  for (unsigned n = 0; n < maxSteps; ++n) {
    std::optional<Term> next = step(term);
    if (!next)
      break;
    term = *next;
  }
  return term;
}

/// `narrowest`: where to note the narrowest type that a cast rounds to.
static Term withoutCasts(Term term, FloatType *narrowest = nullptr) {
  for (unsigned n = 0; n < maxSteps; ++n) {
    term = expand(term);
    Operation *def = term.value.getDefiningOp();
    if (!isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(def))
      break;
    auto type = dyn_cast<FloatType>(term.value.getType());
    if (narrowest && type && isa<arith::TruncFOp>(def) &&
        (!*narrowest || type.getWidth() < narrowest->getWidth()))
      *narrowest = type;
    term.value = def->getOperand(0);
  }
  return term;
}

template <typename Op> static Op opOf(const Term &term) {
  if (isa<TensorType>(term.value.getType()))
    return {};
  return term.value.getDefiningOp<Op>();
}

static std::optional<APFloat> constantOf(const Term &term) {
  Attribute attr;
  if (isa<TensorType>(term.value.getType()))
    attr = getSplat(term.value);
  else
    matchPattern(term.value, m_Constant(&attr));
  if (auto number = dyn_cast_or_null<FloatAttr>(attr))
    return number.getValue();
  return std::nullopt;
}

/// Whether two terms are the same operations on the same elements, up to
/// roundings to a narrower type and back.
static bool areEqual(Term a, Term b, unsigned depth = 0) {
  a = withoutCasts(a);
  b = withoutCasts(b);
  bool isTensor = isa<TensorType>(a.value.getType());
  if (isTensor != isa<TensorType>(b.value.getType()))
    return false;
  if (a.value == b.value && a.map == b.map)
    return true;
  std::optional<APFloat> x = constantOf(a), y = constantOf(b);
  if (x && y)
    return &x->getSemantics() == &y->getSemantics() && x->bitwiseIsEqual(*y);
  Operation *left = a.value.getDefiningOp();
  Operation *right = b.value.getDefiningOp();
  if (isTensor || !left || !right || depth == maxDepth ||
      left->getName() != right->getName() ||
      left->getNumOperands() != right->getNumOperands() ||
      left->getNumRegions() != 0)
    return false;
  if (auto index = dyn_cast<linalg::IndexOp>(left))
    return a.map.getResult(index.getDim()) ==
           b.map.getResult(cast<linalg::IndexOp>(right).getDim());
  if (left->getAttrDictionary() != right->getAttrDictionary())
    return false;
  return llvm::all_of(
      llvm::zip(left->getOperands(), right->getOperands()),
      [&](auto pair) {
        return areEqual({std::get<0>(pair), a.map}, {std::get<1>(pair), b.map},
                        depth + 1);
      });
}

/// 1 / x: x.
static std::optional<Term> getInverse(const Term &term) {
  Term inner = withoutCasts(term);
  auto quotient = opOf<arith::DivFOp>(inner);
  if (!quotient)
    return std::nullopt;
  std::optional<APFloat> one =
      constantOf(withoutCasts({quotient.getLhs(), inner.map}));
  if (!one || !one->isExactlyValue(1.0))
    return std::nullopt;
  return Term{quotient.getRhs(), inner.map};
}

/// Whether `condition` is true where a term is -inf (or false there, if
/// `negated`): that term.
static std::optional<Term> getInfinityTest(const Term &condition,
                                           bool negated) {
  auto compare = opOf<arith::CmpFOp>(expand(condition));
  AffineMap map = expand(condition).map;
  if (!compare)
    return std::nullopt;
  // A maximum that is NaN is not -inf, and exp(e - NaN) is NaN either way.
  bool matches = negated
                     ? compare.getPredicate() == arith::CmpFPredicate::UNE
                     : compare.getPredicate() == arith::CmpFPredicate::OEQ;
  if (!matches)
    return std::nullopt;
  Value sides[] = {compare.getLhs(), compare.getRhs()};
  for (unsigned n = 0; n < 2; ++n) {
    std::optional<APFloat> bound = constantOf(withoutCasts({sides[n], map}));
    if (bound && bound->isInfinity() && bound->isNegative())
      return Term{sides[1 - n], map};
  }
  return std::nullopt;
}

static std::optional<Factors> factor(Term term) {
  FloatType type;
  term = withoutCasts(term, &type);
  auto note = [&](Factors factors) {
    if (type && (!factors.type || type.getWidth() < factors.type.getWidth()))
      factors.type = type;
    return factors;
  };
  if (auto select = opOf<arith::SelectOp>(term)) {
    for (bool negated : {false, true}) {
      Value zero = negated ? select.getFalseValue() : select.getTrueValue();
      Value rest = negated ? select.getTrueValue() : select.getFalseValue();
      std::optional<APFloat> constant =
          constantOf(withoutCasts({zero, term.map}));
      std::optional<Term> guard =
          getInfinityTest({select.getCondition(), term.map}, negated);
      if (!constant || !constant->isPosZero() || !guard)
        continue;
      std::optional<Factors> factors = factor({rest, term.map});
      if (!factors || factors->guard)
        return std::nullopt;
      factors->guard = guard;
      return note(*factors);
    }
    return std::nullopt;
  }
  if (auto exp = opOf<math::ExpOp>(term)) {
    Term argument = withoutCasts({exp.getOperand(), term.map});
    auto difference = opOf<arith::SubFOp>(argument);
    if (!difference)
      return std::nullopt;
    return note(Factors{{difference.getLhs(), argument.map},
                        {difference.getRhs(), argument.map},
                        std::nullopt,
                        std::nullopt,
                        FloatType()});
  }
  auto divide = [&](Value dividend,
                    const Term &divisor) -> std::optional<Factors> {
    std::optional<Factors> factors = factor({dividend, term.map});
    if (!factors || factors->divisor || factors->guard)
      return std::nullopt;
    factors->divisor = divisor;
    return note(*factors);
  };
  if (auto quotient = opOf<arith::DivFOp>(term))
    return divide(quotient.getLhs(), {quotient.getRhs(), term.map});
  if (auto product = opOf<arith::MulFOp>(term)) {
    if (auto inverse = getInverse({product.getRhs(), term.map}))
      return divide(product.getLhs(), *inverse);
    if (auto inverse = getInverse({product.getLhs(), term.map}))
      return divide(product.getRhs(), *inverse);
  }
  return std::nullopt;
}

/// What is added to the accumulator, if that is all the body does with it.
template <typename Combine>
static Value getReduced(linalg::GenericOp op) {
  Block *body = op.getBody();
  BlockArgument accumulator = op.getRegionOutputArgs()[0];
  auto combine = body->getTerminator()->getOperand(0).getDefiningOp<Combine>();
  if (!combine || !accumulator.hasOneUse())
    return {};
  if (combine.getLhs() == accumulator)
    return combine.getRhs();
  return combine.getRhs() == accumulator ? combine.getLhs() : Value();
}

/// The only reduction loop of an op with one result.
static std::optional<unsigned> getReducedLoop(linalg::GenericOp op) {
  if (op->getNumResults() != 1 || op.getNumReductionLoops() != 1 ||
      !op.getMatchingIndexingMap(op.getDpsInitOperand(0))
           .isProjectedPermutation())
    return std::nullopt;
  SmallVector<utils::IteratorType> types = op.getIteratorTypesArray();
  return static_cast<unsigned>(
      llvm::find(types, utils::IteratorType::reduction) - types.begin());
}

/// If `term` is a reduction over the root's loop `j`, the term reduced.
static std::optional<Term> getReducedTerm(const Term &term, unsigned j,
                                          bool isMax) {
  Term result = withoutCasts(term);
  auto generic = result.value.getDefiningOp<linalg::GenericOp>();
  if (!generic || result.map.isFunctionOfDim(j))
    return std::nullopt;
  std::optional<unsigned> loop = getReducedLoop(generic);
  if (!loop)
    return std::nullopt;
  auto start = dyn_cast_or_null<FloatAttr>(
      getSplat(generic.getDpsInitOperand(0)->get()));
  Value reduced;
  if (isMax) {
    reduced = getReduced<arith::MaximumFOp>(generic);
    if (!reduced)
      reduced = getReduced<arith::MaxNumFOp>(generic);
    if (!start || !start.getValue().isInfinity() ||
        !start.getValue().isNegative())
      return std::nullopt;
  } else {
    reduced = getReduced<arith::AddFOp>(generic);
    if (!start || !start.getValue().isZero())
      return std::nullopt;
  }
  if (!reduced)
    return std::nullopt;
  // The root's loops as loops of the reduction.
  MLIRContext *context = generic.getContext();
  SmallVector<AffineExpr> loops(generic.getNumLoops());
  loops[*loop] = getAffineDimExpr(j, context);
  AffineMap written =
      generic.getMatchingIndexingMap(generic.getDpsInitOperand(0));
  for (auto [expr, at] :
       llvm::zip(written.getResults(), result.map.getResults()))
    loops[cast<AffineDimExpr>(expr).getPosition()] = at;
  for (AffineExpr expr : loops)
    if (!expr)
      return std::nullopt;
  return Term{reduced,
              AffineMap::get(result.map.getNumDims(), 0, loops, context)};
}

/// Whether the factors' maximum is that of their logits over `j`.
static bool hasMaximumOfLogits(const Factors &factors, unsigned j) {
  std::optional<Term> reduced =
      getReducedTerm(factors.max, j, /*isMax=*/true);
  return reduced && areEqual(*reduced, factors.logits);
}

/// Whether `divisor` is the sum over `j` of the factors' exponentials.
static bool isSumOfExponentials(const Term &divisor, const Factors &factors,
                                unsigned j) {
  std::optional<Term> reduced = getReducedTerm(divisor, j, /*isMax=*/false);
  if (!reduced)
    return false;
  std::optional<Factors> summed = factor(*reduced);
  return summed && !summed->divisor && !summed->guard &&
         areEqual(summed->logits, factors.logits) &&
         areEqual(summed->max, factors.max);
}

/// The term as an element of a tensor at distinct loops of the root; where it
/// is computed inside of a body, that part of the body is made an op.
static std::optional<Term> materialize(Term term, OpBuilder &builder) {
  // A cast to a wider type is implied by the op.
  if (auto cast = opOf<arith::ExtFOp>(term))
    term.value = cast.getIn();
  if (std::optional<Term> element = toElement(term))
    term = *element;
  // Through a cast-only producer to the narrower tensor.
  if (isa<TensorType>(term.value.getType()))
    if (auto producer = term.value.getDefiningOp<linalg::GenericOp>())
      if (isElementwise(producer)) {
        Term inner = *step(term);
        if (auto cast = opOf<arith::ExtFOp>(inner))
          if (std::optional<Term> element =
                  toElement({cast.getIn(), inner.map}))
            term = *element;
      }
  if (isa<TensorType>(term.value.getType())) {
    if (!term.map.isProjectedPermutation())
      return std::nullopt;
    return term;
  }
  auto generic = term.value.getDefiningOp()
                     ? dyn_cast<linalg::GenericOp>(
                           term.value.getDefiningOp()->getParentOp())
                     : linalg::GenericOp();
  if (!generic || !term.map.isProjectedPermutation())
    return std::nullopt;
  FailureOr<Sizes> loops = getLoopSizes(generic);
  if (failed(loops))
    return std::nullopt;
  // The part of the body that computes the term, and the inputs that it reads.
  // It reads no accumulator: `step` ends there and nothing would have matched.
  SetVector<Operation *> needed;
  SetVector<unsigned> read;
  needed.insert(term.value.getDefiningOp());
  for (unsigned n = 0; n < needed.size(); ++n)
    for (Value operand : needed[n]->getOperands()) {
      Operation *def = operand.getDefiningOp();
      if (def && def->getBlock() == generic.getBody())
        needed.insert(def);
      auto argument = dyn_cast<BlockArgument>(operand);
      if (!argument || argument.getOwner() != generic.getBody())
        continue;
      if (argument.getArgNumber() >= generic.getNumDpsInputs())
        return std::nullopt;
      read.insert(argument.getArgNumber());
    }

  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(generic);
  GenericParts parts(generic);
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (unsigned n : read) {
    inputs.push_back(parts.inputs[n]);
    maps.push_back(parts.inputMaps[n]);
  }
  maps.push_back(builder.getMultiDimIdentityMap(generic.getNumLoops()));
  Value init = hr::createEmpty(builder, generic.getLoc(), *loops,
                               term.value.getType());
  SmallVector<utils::IteratorType> iterators(generic.getNumLoops(),
                                             utils::IteratorType::parallel);
  auto result = linalg::GenericOp::create(
      builder, generic.getLoc(), init.getType(), inputs, init, maps, iterators,
      [&](OpBuilder &inner, Location loc, ValueRange arguments) {
        IRMapping mapping;
        for (auto [k, n] : llvm::enumerate(read))
          mapping.map(generic.getBody()->getArgument(n), arguments[k]);
        for (Operation &op : generic.getBody()->without_terminator())
          if (needed.contains(&op))
            inner.clone(op, mapping);
        linalg::YieldOp::create(inner, loc,
                                mapping.lookupOrDefault(term.value));
      });
  return Term{result.getResult(0), term.map};
}

namespace {
/// One attempt at one contraction.
struct Match {
  linalg::GenericOp root;
  unsigned j;
  Factors factors;
  Term value;
  /// The elementwise op that divides, where the root does not.
  linalg::GenericOp divider;
};

struct FormSoftmaxSum
    : headrace::impl::FormSoftmaxSumPassBase<FormSoftmaxSum> {
  void runOnOperation() override {
    getOperation().walk([&](func::FuncOp func) {
      SmallVector<linalg::GenericOp> roots;
      func.walk([&](linalg::GenericOp op) { roots.push_back(op); });
      bool changed = false;
      for (linalg::GenericOp root : roots)
        if (std::optional<Match> match = findMatch(root))
          changed |= rewrite(*match);
      if (changed)
        eraseDeadOps(func);
    });
  }

  std::optional<Match> findMatch(linalg::GenericOp root) {
    if (root.getNumDpsInputs() == 0 || root->getNumResults() != 1)
      return std::nullopt;
    std::optional<unsigned> j = getReducedLoop(root);
    if (!j)
      return std::nullopt;
    auto start = dyn_cast_or_null<FloatAttr>(
        getSplat(root.getDpsInitOperand(0)->get()));
    Value added = getReduced<arith::AddFOp>(root);
    if (!added || !start || !start.getValue().isZero())
      return std::nullopt;
    AffineMap identity = AffineMap::getMultiDimIdentityMap(
        root.getNumLoops(), root.getContext());
    // A cast of the product rounds it; the product itself is at the root.
    while (isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(
        added.getDefiningOp()))
      added = added.getDefiningOp()->getOperand(0);
    auto product = added.getDefiningOp<arith::MulFOp>();
    if (!product)
      return std::nullopt;
    Value sides[] = {product.getLhs(), product.getRhs()};
    for (unsigned n = 0; n < 2; ++n) {
      Term weight{sides[n], identity}, value{sides[1 - n], identity};
      std::optional<Factors> factors = factor(weight);
      if (!factors || !hasMaximumOfLogits(*factors, *j) ||
          (factors->guard && !areEqual(*factors->guard, factors->max)))
        continue;
      // Weights that somebody else wants are stored anyway.
      if (std::optional<Term> element = toElement(weight);
          element && !element->value.hasOneUse()) {
        if (factors->divisor) {
          root.emitRemark("softmax is not streamed: its weights are used "
                          "elsewhere");
          return std::nullopt;
        }
      }
      if (factors->divisor) {
        if (isSumOfExponentials(*factors->divisor, *factors, *j))
          return Match{root, *j, *factors, value, {}};
        continue;
      }
      if (factors->guard)
        continue;
      if (linalg::GenericOp divider = findDivider(root, *factors, *j))
        return Match{root, *j, *factors, value, divider};
    }
    return std::nullopt;
  }

  /// The elementwise op that does nothing with the root's result but divide it
  /// by the sum of the factors' exponentials.
  linalg::GenericOp findDivider(linalg::GenericOp root, const Factors &factors,
                                unsigned j) {
    Value result = root->getResult(0);
    if (!result.hasOneUse())
      return {};
    OpOperand &use = *result.use_begin();
    auto user = dyn_cast<linalg::GenericOp>(use.getOwner());
    if (!user || !isElementwise(user) || !user.isDpsInput(&use))
      return {};
    AffineMap read = user.getMatchingIndexingMap(&use);
    if (!read.isPermutation())
      return {};
    AffineMap written =
        root.getMatchingIndexingMap(root.getDpsInitOperand(0));
    AffineMap loops = inversePermutation(read).compose(written);
    BlockArgument argument =
        user.getBody()->getArgument(use.getOperandNumber());
    SmallVector<Operation *> divisions = getDivisions(argument);
    if (divisions.empty())
      return {};
    for (Operation *op : divisions) {
      std::optional<Term> divisor;
      if (isa<arith::DivFOp>(op))
        divisor = Term{op->getOperand(1), loops};
      else
        divisor = getInverse(
            {op->getOperand(op->getOperand(0) == argument ? 1 : 0), loops});
      if (!divisor || !isSumOfExponentials(*divisor, factors, j))
        return {};
    }
    return user;
  }

  /// The ops that divide `argument`, if nothing else reads it.
  static SmallVector<Operation *> getDivisions(BlockArgument argument) {
    SmallVector<Operation *> divisions;
    for (OpOperand &use : argument.getUses()) {
      Operation *op = use.getOwner();
      if (!(isa<arith::DivFOp>(op) && use.getOperandNumber() == 0) &&
          !isa<arith::MulFOp>(op))
        return {};
      divisions.push_back(op);
    }
    return divisions;
  }

  bool rewrite(Match &match) {
    linalg::GenericOp root = match.root;
    OpBuilder builder(root);
    std::optional<Term> logits = materialize(match.factors.logits, builder);
    std::optional<Term> value = materialize(match.value, builder);
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(root->getResult(0));
    if (!logits || !value || failed(dims) ||
        !logits->map.isFunctionOfDim(match.j) ||
        !value->map.isFunctionOfDim(match.j) ||
        !isa<FloatType>(getElementTypeOrSelf(logits->value.getType())) ||
        !isa<FloatType>(getElementTypeOrSelf(value->value.getType()))) {
      root.emitRemark("softmax is not streamed: logits or values are not "
                      "tensors over the contraction's loops");
      return false;
    }
    AffineMap written =
        root.getMatchingIndexingMap(root.getDpsInitOperand(0));
    auto sum = hr::SoftmaxSumOp::create(
        builder, root.getLoc(), cast<RankedTensorType>(root.getResultTypes()[0]),
        logits->value, value->value,
        builder.getAffineMapArrayAttr({logits->map, value->map, written}),
        hr::getSizeArrayAttr(&getContext(), *dims),
        match.factors.guard ? builder.getUnitAttr() : UnitAttr(),
        match.factors.type ? TypeAttr::get(match.factors.type) : TypeAttr());
    if (match.divider) {
      for (OpOperand &use :
           llvm::make_early_inc_range(root->getResult(0).getUses())) {
        BlockArgument argument =
            match.divider.getBody()->getArgument(use.getOperandNumber());
        for (Operation *op : getDivisions(argument)) {
          op->getResult(0).replaceAllUsesWith(argument);
          op->erase();
        }
      }
    }
    root->getResult(0).replaceAllUsesWith(sum.getResult());
    sum.emitRemark("streams the softmax over ")
        << (*hr::getDims(logits->value))[getPosition(*logits, match.j)].str()
        << " elements";
    ++numFormed;
    return true;
  }

  static unsigned getPosition(const Term &term, unsigned loop) {
    for (auto [r, expr] : llvm::enumerate(term.map.getResults()))
      if (expr.isFunctionOfDim(loop))
        return r;
    return 0;
  }

  static void eraseDeadOps(func::FuncOp func) {
    for (Operation &op : llvm::make_early_inc_range(
             llvm::reverse(func.getBody().front())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
};
} // namespace
