//===- Emitter.cpp - Builds the ops of the tensor level -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

//===----------------------------------------------------------------------===//
// Types and shapes
//===----------------------------------------------------------------------===//

static std::optional<DType> promoteSkip(std::optional<DType> lhs,
                                        std::optional<DType> rhs) {
  if (!lhs || !rhs)
    return lhs ? lhs : rhs;
  return promote(*lhs, *rhs);
}

/// `higher` decides, unless `lower` is of a higher category.
static std::optional<DType> combineCategories(std::optional<DType> higher,
                                              std::optional<DType> lower) {
  if (higher && isFloat(*higher))
    return higher;
  if ((higher && isBool(*higher)) || (lower && isFloat(*lower)))
    return promoteSkip(higher, lower);
  return higher ? higher : lower;
}

DType conversion::resultType(ArrayRef<Operand> operands) {
  std::optional<DType> dimensioned, zeroRank, numbers;
  for (const Operand &operand : operands) {
    std::optional<DType> &group = !operand.tensor()          ? numbers
                                  : operand.tensor()->rank() ? dimensioned
                                                             : zeroRank;
    group = promoteSkip(group, operand.dtype());
  }
  return combineCategories(dimensioned, combineCategories(zeroRank, numbers))
      .value_or(DType::Float32);
}

SizeExpr conversion::product(ArrayRef<SizeExpr> sizes) {
  SizeExpr result(1);
  for (const SizeExpr &size : sizes)
    result = result * size;
  return result;
}

SizeExpr Emitter::min(const SizeExpr &lhs, const SizeExpr &rhs) const {
  if (lhs.isLessEqual(rhs, ranges))
    return lhs;
  if (rhs.isLessEqual(lhs, ranges))
    return rhs;
  return SizeExpr::min(lhs, rhs);
}

SizeExpr Emitter::max(const SizeExpr &lhs, const SizeExpr &rhs) const {
  if (lhs.isLessEqual(rhs, ranges))
    return rhs;
  if (rhs.isLessEqual(lhs, ranges))
    return lhs;
  return SizeExpr::max(lhs, rhs);
}

RankedTensorType Emitter::getType(ArrayRef<SizeExpr> dims, DType type) {
  return RankedTensorType::get(hr::getStaticShape(dims),
                               getElementType(context(), type));
}

/// The dimensions whose size is not the constant 1.
static SmallVector<int64_t> getNonUnitDims(ArrayRef<SizeExpr> dims) {
  SmallVector<int64_t> result;
  for (auto [d, size] : llvm::enumerate(dims))
    if (!isOne(size))
      result.push_back(d);
  return result;
}

static Dims pick(ArrayRef<SizeExpr> dims, ArrayRef<int64_t> which) {
  Dims result;
  for (int64_t d : which)
    result.push_back(dims[d]);
  return result;
}

/// The shapes differ at most by size-1 dimensions.
static bool equalUpToUnits(ArrayRef<SizeExpr> lhs, ArrayRef<SizeExpr> rhs) {
  return pick(lhs, getNonUnitDims(lhs)) == pick(rhs, getNonUnitDims(rhs));
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

Tensor Emitter::reshape(const Tensor &tensor, ArrayRef<SizeExpr> dims) {
  if (ArrayRef<SizeExpr>(tensor.dims) == dims)
    return tensor;
  Value source = tensor.value;
  Dims from = tensor.dims;
  if (auto inner = source.getDefiningOp<hr::ReshapeOp>())
    if (FailureOr<SmallVector<SizeExpr>> innerDims =
            hr::getDims(inner.getSource());
        succeeded(innerDims)) {
      source = inner.getSource();
      from = Dims(innerDims->begin(), innerDims->end());
    }
  Dims to(dims.begin(), dims.end());
  if (from == to)
    return {source, to, tensor.dtype};

  // Size-1 dimensions come and go in a view for free.
  auto view = source.getDefiningOp<hr::ViewOp>();
  if (view && equalUpToUnits(from, to)) {
    SmallVector<AffineExpr> replacements(from.size(), zero());
    SmallVector<int64_t> fromDims = getNonUnitDims(from);
    SmallVector<int64_t> toDims = getNonUnitDims(to);
    for (auto [f, t] : llvm::zip_equal(fromDims, toDims))
      replacements[f] = dim(t);
    AffineMap map = view.getMap().replaceDimsAndSymbols(
        replacements, {}, to.size(), 0);
    Value value = hr::ViewOp::create(
        builder, loc, getType(to, tensor.dtype), view.getSource(),
        view.getOffsets(), AffineMapAttr::get(simplifyAffineMap(map)),
        hr::getSizeArrayAttr(context(), to));
    return {value, to, tensor.dtype};
  }
  Value value =
      hr::ReshapeOp::create(builder, loc, getType(to, tensor.dtype), source,
                            hr::getSizeArrayAttr(context(), to));
  return {value, to, tensor.dtype};
}

/// The coefficients of a linear expression, one per dimension; nothing if the
/// expression is not linear.
static std::optional<SmallVector<int64_t>> getCoefficients(AffineExpr expr,
                                                           unsigned numDims) {
  MLIRContext *context = expr.getContext();
  SmallVector<int64_t> result;
  for (unsigned d = 0; d < numDims; ++d) {
    SmallVector<AffineExpr> unit(numDims, getAffineConstantExpr(0, context));
    unit[d] = getAffineConstantExpr(1, context);
    auto value = dyn_cast<AffineConstantExpr>(
        simplifyAffineExpr(expr.replaceDims(unit), 0, 0));
    if (!value)
      return std::nullopt;
    result.push_back(value.getValue());
  }
  return result;
}

/// Whether the view selects every element in order: no more than a reshape that
/// adds and drops size-1 dimensions.
static bool isReshape(ArrayRef<SizeExpr> from, ArrayRef<SizeExpr> offsets,
                      AffineMap map, ArrayRef<SizeExpr> to) {
  if (!equalUpToUnits(from, to))
    return false;
  SmallVector<int64_t> toDims = getNonUnitDims(to);
  unsigned next = 0;
  for (auto [d, size] : llvm::enumerate(from)) {
    if (offsets[d] != SizeExpr(0))
      return false;
    if (isOne(size))
      continue;
    AffineExpr expr = map.getResult(d);
    // Size-1 dimensions of the result contribute nothing.
    for (auto [t, toSize] : llvm::enumerate(to))
      if (isOne(toSize))
        expr = expr.replace(getAffineDimExpr(t, map.getContext()),
                            getAffineConstantExpr(0, map.getContext()));
    expr = simplifyAffineExpr(expr, map.getNumDims(), 0);
    auto dimExpr = dyn_cast<AffineDimExpr>(expr);
    if (!dimExpr || next >= toDims.size() ||
        dimExpr.getPosition() != toDims[next])
      return false;
    ++next;
  }
  return true;
}

Tensor Emitter::view(const Tensor &tensor, ArrayRef<SizeExpr> offsets,
                     AffineMap map, ArrayRef<SizeExpr> dims) {
  if (isReshape(tensor.dims, offsets, map, dims))
    return reshape(tensor, dims);

  // A reshape that only adds and drops size-1 dimensions is looked through.
  if (auto inner = tensor.value.getDefiningOp<hr::ReshapeOp>()) {
    FailureOr<SmallVector<SizeExpr>> from = hr::getDims(inner.getSource());
    bool unitsAtZero = true;
    for (auto [d, size] : llvm::enumerate(tensor.dims))
      unitsAtZero &= !isOne(size) || offsets[d] == SizeExpr(0);
    if (succeeded(from) && unitsAtZero &&
        equalUpToUnits(*from, tensor.dims)) {
      Dims innerOffsets(from->size(), SizeExpr(0));
      SmallVector<AffineExpr> exprs(from->size(), zero());
      for (auto [f, t] : llvm::zip_equal(getNonUnitDims(*from),
                                         getNonUnitDims(tensor.dims))) {
        innerOffsets[f] = offsets[t];
        exprs[f] = map.getResult(t);
      }
      Tensor source{inner.getSource(), Dims(from->begin(), from->end()),
                    tensor.dtype};
      return view(source, innerOffsets, getMap(map.getNumDims(), exprs), dims);
    }
  }

  Value source = tensor.value;
  Dims at(offsets.begin(), offsets.end());
  if (auto inner = source.getDefiningOp<hr::ViewOp>()) {
    AffineMap innerMap = inner.getMap();
    Dims composed;
    bool linear = true;
    for (auto [expr, offset] :
         llvm::zip_equal(innerMap.getResults(), hr::getSizes(inner.getOffsets()))) {
      auto coefficients = getCoefficients(expr, innerMap.getNumDims());
      if (!coefficients) {
        linear = false;
        break;
      }
      SizeExpr sum = offset;
      for (auto [coefficient, outer] : llvm::zip_equal(*coefficients, offsets))
        sum = sum + outer * SizeExpr(coefficient);
      composed.push_back(sum);
    }
    if (linear) {
      source = inner.getSource();
      map = simplifyAffineMap(innerMap.compose(map));
      at = composed;
    }
  }
  Dims to(dims.begin(), dims.end());
  Value value = hr::ViewOp::create(
      builder, loc, getType(to, tensor.dtype), source,
      hr::getSizeArrayAttr(context(), at), AffineMapAttr::get(map),
      hr::getSizeArrayAttr(context(), to));
  return {value, to, tensor.dtype};
}

Tensor Emitter::permute(const Tensor &tensor, ArrayRef<int64_t> order) {
  SmallVector<AffineExpr> exprs(order.size());
  Dims dims;
  for (auto [d, from] : llvm::enumerate(order)) {
    exprs[from] = dim(d);
    dims.push_back(tensor.dims[from]);
  }
  return view(tensor, Dims(order.size(), SizeExpr(0)),
              getMap(order.size(), exprs), dims);
}

Tensor Emitter::transpose(const Tensor &tensor, int64_t dim0, int64_t dim1) {
  auto order = llvm::to_vector(llvm::seq<int64_t>(0, tensor.rank()));
  std::swap(order[dim0], order[dim1]);
  return permute(tensor, order);
}

Tensor Emitter::slice(const Tensor &tensor, int64_t d, const SizeExpr &start,
                      const SizeExpr &size, int64_t step) {
  Dims offsets(tensor.rank(), SizeExpr(0)), dims = tensor.dims;
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < tensor.rank(); ++i)
    exprs.push_back(i == d ? dim(i) * step : dim(i));
  offsets[d] = start;
  dims[d] = size;
  return view(tensor, offsets, getMap(tensor.rank(), exprs), dims);
}

Tensor Emitter::select(const Tensor &tensor, int64_t d,
                       const SizeExpr &index) {
  Dims offsets(tensor.rank(), SizeExpr(0)), dims;
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < tensor.rank(); ++i) {
    if (i == d) {
      exprs.push_back(zero());
      continue;
    }
    exprs.push_back(dim(dims.size()));
    dims.push_back(tensor.dims[i]);
  }
  offsets[d] = index;
  return view(tensor, offsets, getMap(dims.size(), exprs), dims);
}

Tensor Emitter::expand(const Tensor &tensor, ArrayRef<SizeExpr> dims) {
  int64_t lead = static_cast<int64_t>(dims.size()) - tensor.rank();
  // No broadcast; what stands there says whether the elements fit.
  if (lead < 0)
    return reshape(tensor, dims);
  SmallVector<AffineExpr> exprs;
  Dims to(dims.begin(), dims.end());
  for (int64_t d = 0; d < tensor.rank(); ++d) {
    bool stretched = isOne(tensor.dims[d]) && !isOne(to[lead + d]);
    exprs.push_back(stretched ? zero() : dim(lead + d));
    if (!stretched)
      requireEqual(tensor.dims[d], to[lead + d]);
  }
  return view(tensor, Dims(tensor.rank(), SizeExpr(0)),
              getMap(to.size(), exprs), to);
}

Tensor Emitter::unsqueeze(const Tensor &tensor, int64_t d) {
  Dims dims = tensor.dims;
  dims.insert(dims.begin() + d, SizeExpr(1));
  return reshape(tensor, dims);
}

Tensor Emitter::squeeze(const Tensor &tensor, ArrayRef<int64_t> which) {
  Dims dims;
  for (auto [d, size] : llvm::enumerate(tensor.dims))
    if (!llvm::is_contained(which, static_cast<int64_t>(d)))
      dims.push_back(size);
  return reshape(tensor, dims);
}

Tensor Emitter::flip(const Tensor &tensor, int64_t d) {
  Dims offsets(tensor.rank(), SizeExpr(0));
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < tensor.rank(); ++i)
    exprs.push_back(i == d ? dim(i) * -1 : dim(i));
  offsets[d] = tensor.dims[d] - SizeExpr(1);
  return view(tensor, offsets, getMap(tensor.rank(), exprs), tensor.dims);
}

Tensor Emitter::concat(ArrayRef<Tensor> tensors, int64_t d) {
  if (tensors.size() == 1)
    return tensors.front();
  Dims dims = tensors.front().dims;
  SmallVector<Value> values;
  SizeExpr total(0);
  for (const Tensor &tensor : tensors) {
    values.push_back(tensor.value);
    total = total + tensor.dims[d];
    for (int64_t other = 0; other < tensor.rank(); ++other)
      if (other != d)
        requireEqual(tensor.dims[other], dims[other]);
  }
  dims[d] = total;
  DType dtype = tensors.front().dtype;
  Value value =
      hr::ConcatOp::create(builder, loc, getType(dims, dtype), values, d,
                           hr::getSizeArrayAttr(context(), dims));
  return {value, dims, dtype};
}

Tensor Emitter::pad(const Tensor &tensor, ArrayRef<SizeExpr> low,
                    ArrayRef<SizeExpr> high, const Number &value) {
  Dims dims;
  bool padded = false;
  for (auto [d, size] : llvm::enumerate(tensor.dims)) {
    dims.push_back(low[d] + size + high[d]);
    padded |= low[d] != SizeExpr(0) || high[d] != SizeExpr(0);
  }
  if (!padded)
    return tensor;
  Value result = hr::PadOp::create(
      builder, loc, getType(dims, tensor.dtype), tensor.value,
      hr::getSizeArrayAttr(context(), low),
      hr::getSizeArrayAttr(context(), high), getAttr(value, tensor.dtype),
      hr::getSizeArrayAttr(context(), dims));
  return {result, dims, tensor.dtype};
}

Tensor Emitter::update(const Tensor &base, const Tensor &value,
                       ArrayRef<SizeExpr> offsets, AffineMap map) {
  Value result = hr::UpdateOp::create(
      builder, loc, base.value.getType(), base.value, value.value,
      hr::getSizeArrayAttr(context(), offsets), AffineMapAttr::get(map));
  return {result, base.dims, base.dtype};
}

Tensor Emitter::dropDims(const Tensor &tensor, ArrayRef<int64_t> drop) {
  return drop.empty() ? tensor : squeeze(tensor, drop);
}

//===----------------------------------------------------------------------===//
// Structured ops
//===----------------------------------------------------------------------===//

Access Emitter::compress(const Access &access,
                         ArrayRef<std::optional<unsigned>> loops,
                         unsigned numLoops) {
  SmallVector<AffineExpr> replacements;
  for (std::optional<unsigned> loop : loops)
    replacements.push_back(loop ? dim(*loop) : zero());
  SmallVector<AffineExpr> exprs;
  SmallVector<int64_t> drop;
  Tensor tensor = access.tensor;
  for (auto [d, expr] : llvm::enumerate(access.map.getResults())) {
    AffineExpr replaced = simplifyAffineExpr(
        expr.replaceDimsAndSymbols(replacements, {}), numLoops, 0);
    if (replaced != zero()) {
      exprs.push_back(replaced);
      continue;
    }
    // Only the first element is ever read.
    if (!isOne(tensor.dims[d]))
      tensor = slice(tensor, d, SizeExpr(0), SizeExpr(1));
    drop.push_back(d);
  }
  return {dropDims(tensor, drop), getMap(numLoops, exprs)};
}

Tensor Emitter::structured(ArrayRef<SizeExpr> loops, ArrayRef<Access> inputs,
                           AffineMap out, DType result,
                           std::optional<Number> init, BodyFn body) {
  // What is reduced is kept in the compute type until the end: values that
  // loops carry have a type that every machine has registers for.
  if (init && isHalf(result))
    return cast(structured(loops, inputs, out, getComputeType(result), init,
                           body),
                result);
  return buildNest(loops, inputs, out, result, 1, init,
                   [&](Body &scope, ArrayRef<Scalar> args) {
                     return SmallVector<Scalar>{body(scope, args)};
                   })
      .front();
}

SmallVector<Tensor> Emitter::sums(ArrayRef<SizeExpr> loops,
                                  ArrayRef<Access> inputs, AffineMap out,
                                  DType accumulate, unsigned count,
                                  BodiesFn body) {
  assert(!isHalf(accumulate) && "sums of 16-bit floats are carried in f32");
  return buildNest(loops, inputs, out, accumulate, count, Number(int64_t(0)),
                   body);
}

SmallVector<Tensor>
Emitter::buildNest(ArrayRef<SizeExpr> loops, ArrayRef<Access> inputs,
                   AffineMap out, DType result, unsigned count,
                   std::optional<Number> init, BodiesFn body) {
  // 1. Number the loops that stay.
  SmallVector<std::optional<unsigned>> kept;
  Dims sizes;
  for (const SizeExpr &size : loops) {
    if (isOne(size)) {
      kept.push_back(std::nullopt);
      continue;
    }
    kept.push_back(sizes.size());
    sizes.push_back(size);
  }
  unsigned numLoops = sizes.size();

  // 2. Operands and their maps; which loops they determine the size of.
  SmallVector<Value> operands;
  SmallVector<AffineMap> maps;
  SmallVector<DType> dtypes;
  llvm::SmallBitVector sized(numLoops);
  auto noteSized = [&](AffineMap map) {
    for (AffineExpr expr : map.getResults())
      if (auto dimExpr = dyn_cast<AffineDimExpr>(expr))
        sized.set(dimExpr.getPosition());
  };
  for (const Access &input : inputs) {
    for (auto [size, expr] :
         llvm::zip_equal(input.tensor.dims, input.map.getResults()))
      if (auto loop = dyn_cast<AffineDimExpr>(expr))
        requireEqual(size, loops[loop.getPosition()]);
    Access access = compress(input, kept, numLoops);
    // A window at a single position is read by the loop over the window alone,
    // which has to have the operand's size.
    for (auto [d, expr] : llvm::enumerate(access.map.getResults()))
      if (auto loop = dyn_cast<AffineDimExpr>(expr);
          loop && access.tensor.dims[d] != sizes[loop.getPosition()])
        access.tensor = slice(access.tensor, d, SizeExpr(0),
                              sizes[loop.getPosition()]);
    operands.push_back(access.tensor.value);
    maps.push_back(access.map);
    dtypes.push_back(access.tensor.dtype);
    noteSized(access.map);
  }

  // 3. The result, without its size-1 dimensions.
  Dims fullDims, dims;
  SmallVector<AffineExpr> outExprs;
  llvm::SmallBitVector parallel(numLoops);
  for (AffineExpr expr : out.getResults()) {
    unsigned loop = cast<AffineDimExpr>(expr).getPosition();
    fullDims.push_back(loops[loop]);
    if (!kept[loop])
      continue;
    dims.push_back(loops[loop]);
    outExprs.push_back(dim(*kept[loop]));
    parallel.set(*kept[loop]);
  }
  AffineMap outMap = getMap(numLoops, outExprs);
  noteSized(outMap);

  // 4. Loops that no operand has as a dimension (those of a pooling window) get
  // their size from an operand that is never read.
  if (!sized.all()) {
    Dims shape;
    SmallVector<AffineExpr> exprs;
    for (unsigned loop = 0; loop < numLoops; ++loop) {
      if (sized.test(loop))
        continue;
      shape.push_back(sizes[loop]);
      exprs.push_back(dim(loop));
    }
    operands.push_back(
        hr::createEmpty(builder, loc, shape, getElementType(context(), result)));
    maps.push_back(getMap(numLoops, exprs));
  }

  Type elementType = getElementType(context(), result);
  Value destination = hr::createEmpty(builder, loc, dims, elementType);
  if (init) {
    Value start =
        arith::ConstantOp::create(builder, loc, getAttr(*init, result));
    destination =
        linalg::FillOp::create(builder, loc, start, destination).getResult(0);
  }
  maps.append(count, outMap);
  SmallVector<utils::IteratorType> iterators;
  for (unsigned loop = 0; loop < numLoops; ++loop)
    iterators.push_back(parallel.test(loop) ? utils::IteratorType::parallel
                                            : utils::IteratorType::reduction);

  SmallVector<Value> destinations(count, destination);
  auto generic = linalg::GenericOp::create(
      builder, loc, TypeRange(ValueRange(destinations)), operands, destinations,
      maps, iterators, [&](OpBuilder &nested, Location bodyLoc, ValueRange args) {
        Body scope(nested, bodyLoc, kept);
        SmallVector<Scalar> scalars;
        for (auto [dtype, arg] : llvm::zip(dtypes, args))
          scalars.push_back(
              scope.cast(Scalar{arg, dtype}, getComputeType(dtype)));
        if (init)
          for (Value accumulator : args.take_back(count))
            scalars.push_back(Scalar{accumulator, result});
        SmallVector<Value> yielded;
        for (Scalar value : body(scope, scalars))
          yielded.push_back(scope.cast(value, result).value);
        linalg::YieldOp::create(nested, bodyLoc, yielded);
      });
  SmallVector<Tensor> results;
  for (Value value : generic.getResults())
    results.push_back(reshape({value, dims, result}, fullDims));
  return results;
}

Dims Emitter::broadcast(ArrayRef<Operand> operands) const {
  size_t rank = 0;
  for (const Operand &operand : operands)
    if (operand.tensor())
      rank = std::max(rank, operand.tensor()->dims.size());
  Dims dims(rank, SizeExpr(1));
  for (const Operand &operand : operands) {
    if (!operand.tensor())
      continue;
    size_t lead = rank - operand.tensor()->dims.size();
    for (auto [d, size] : llvm::enumerate(operand.tensor()->dims)) {
      SizeExpr &to = dims[lead + d];
      // Of sizes that torch has proved equal, a constant says most.
      if (isOne(to) || (size.isConstant() && !isOne(size)))
        to = size;
    }
  }
  return dims;
}

/// The constant that fills the whole tensor, if it is made so.
static std::optional<Number> getSplat(const Tensor &tensor) {
  Value value = tensor.value;
  while (true) {
    Operation *op = value.getDefiningOp();
    if (auto view = dyn_cast_or_null<hr::ViewOp>(op))
      value = view.getSource();
    else if (auto reshape = dyn_cast_or_null<hr::ReshapeOp>(op))
      value = reshape.getSource();
    else
      break;
  }
  auto fill = value.getDefiningOp<linalg::FillOp>();
  if (!fill)
    return std::nullopt;
  Attribute attr;
  if (!matchPattern(fill.getInputs().front(), m_Constant(&attr)))
    return std::nullopt;
  if (auto number = dyn_cast<FloatAttr>(attr))
    return Number(number.getValueAsDouble());
  if (auto integer = dyn_cast<IntegerAttr>(attr)) {
    if (isBool(tensor.dtype))
      return Number(!integer.getValue().isZero());
    if (isUnsigned(tensor.dtype))
      return Number(static_cast<int64_t>(integer.getValue().getZExtValue()));
    return Number(integer.getValue().getSExtValue());
  }
  return std::nullopt;
}

Tensor Emitter::map(ArrayRef<Operand> operands, ArrayRef<SizeExpr> dims,
                    DType compute, DType result, BodyFn body) {
  int64_t rank = dims.size();
  SmallVector<Access> inputs;
  // Per operand: the input it comes as, or the number it is.
  SmallVector<std::variant<unsigned, Number>> sources;
  for (const Operand &operand : operands) {
    if (const Number *number = operand.number()) {
      sources.push_back(*number);
      continue;
    }
    const Tensor &tensor = *operand.tensor();
    if (std::optional<Number> splat = getSplat(tensor)) {
      sources.push_back(*splat);
      continue;
    }
    SmallVector<AffineExpr> exprs;
    int64_t lead = rank - tensor.rank();
    for (int64_t d = 0; d < tensor.rank(); ++d) {
      bool stretched = isOne(tensor.dims[d]) && !isOne(dims[lead + d]);
      exprs.push_back(stretched ? zero() : dim(lead + d));
    }
    sources.push_back(static_cast<unsigned>(inputs.size()));
    inputs.push_back({tensor, getMap(rank, exprs)});
  }
  DType working = getComputeType(compute);
  return structured(
      dims, inputs, builder.getMultiDimIdentityMap(rank), result, std::nullopt,
      [&](Body &scope, ArrayRef<Scalar> args) {
        SmallVector<Scalar> scalars;
        for (auto [source, operand] : llvm::zip_equal(sources, operands)) {
          if (const Number *number = std::get_if<Number>(&source)) {
            scalars.push_back(scope.constant(*number, working));
            continue;
          }
          Scalar scalar = args[std::get<unsigned>(source)];
          // A wider operand of rank 0 is rounded to the common type first.
          if (isHalf(compute) && operand.dtype() != compute)
            scalar = scope.cast(scalar, compute);
          scalars.push_back(scope.cast(scalar, working));
        }
        return body(scope, scalars);
      });
}

Tensor Emitter::map(ArrayRef<Operand> operands, DType compute, DType result,
                    BodyFn body) {
  return map(operands, broadcast(operands), compute, result, body);
}

Tensor Emitter::cast(const Tensor &tensor, DType type) {
  if (tensor.dtype == type)
    return tensor;
  if (std::optional<Number> splat = getSplat(tensor))
    return fill(tensor.dims, *splat, type);
  return structured(tensor.dims,
                    {{tensor, builder.getMultiDimIdentityMap(tensor.rank())}},
                    builder.getMultiDimIdentityMap(tensor.rank()), type,
                    std::nullopt,
                    [](Body &, ArrayRef<Scalar> args) { return args[0]; });
}

Tensor Emitter::fill(ArrayRef<SizeExpr> dims, const Number &value,
                     DType type) {
  if (!value.constant())
    return structured(dims, {}, builder.getMultiDimIdentityMap(dims.size()),
                      type, std::nullopt, [&](Body &body, ArrayRef<Scalar>) {
                        return body.constant(value, type);
                      });
  Dims kept = pick(dims, getNonUnitDims(dims));
  Value empty =
      hr::createEmpty(builder, loc, kept, getElementType(context(), type));
  Value constant =
      arith::ConstantOp::create(builder, loc, getAttr(value, type));
  Value filled =
      linalg::FillOp::create(builder, loc, constant, empty).getResult(0);
  return reshape({filled, kept, type}, dims);
}

Tensor Emitter::scalarTensor(const Operand &operand, DType type) {
  if (const Number *number = operand.number())
    return fill({}, *number, type);
  return cast(reshape(*operand.tensor(), {}), type);
}

Tensor Emitter::add(const Tensor &lhs, const Tensor &rhs) {
  return map({lhs, rhs}, lhs.dtype, lhs.dtype,
             [](Body &body, ArrayRef<Scalar> args) {
               return body.add(args[0], args[1]);
             });
}

Tensor Emitter::sub(const Tensor &lhs, const Tensor &rhs) {
  return map({lhs, rhs}, lhs.dtype, lhs.dtype,
             [](Body &body, ArrayRef<Scalar> args) {
               return body.sub(args[0], args[1]);
             });
}

Tensor Emitter::mul(const Tensor &lhs, const Tensor &rhs) {
  return map({lhs, rhs}, lhs.dtype, lhs.dtype,
             [](Body &body, ArrayRef<Scalar> args) {
               return body.mul(args[0], args[1]);
             });
}

Tensor Emitter::scale(const Tensor &tensor, double factor) {
  if (factor == 1.0)
    return tensor;
  return map({tensor, Number(factor)}, tensor.dtype, tensor.dtype,
             [](Body &body, ArrayRef<Scalar> args) {
               return body.mul(args[0], args[1]);
             });
}

Tensor Emitter::where(const Tensor &condition, const Operand &yes,
                      const Operand &no, DType result) {
  // The condition goes through `compute` unharmed: zero stays zero.
  Dims dims = broadcast({condition, yes, no});
  int64_t rank = dims.size();
  SmallVector<Access> inputs;
  auto addInput = [&](const Tensor &tensor) {
    SmallVector<AffineExpr> exprs;
    int64_t lead = rank - tensor.rank();
    for (int64_t d = 0; d < tensor.rank(); ++d) {
      bool stretched = isOne(tensor.dims[d]) && !isOne(dims[lead + d]);
      exprs.push_back(stretched ? zero() : dim(lead + d));
    }
    inputs.push_back({tensor, getMap(rank, exprs)});
  };
  addInput(condition);
  const Operand *choices[] = {&yes, &no};
  std::optional<Number> numbers[2];
  for (auto [number, choice] : llvm::zip_equal(numbers, choices)) {
    if (choice->number())
      number = *choice->number();
    else
      number = getSplat(*choice->tensor());
    if (!number)
      addInput(*choice->tensor());
  }
  return structured(
      dims, inputs, builder.getMultiDimIdentityMap(rank), result, std::nullopt,
      [&](Body &body, ArrayRef<Scalar> args) {
        unsigned next = 1;
        // Chosen in the compute type: few targets select 16-bit floats.
        DType type = getComputeType(result);
        Scalar values[2];
        for (int i = 0; i < 2; ++i)
          values[i] = numbers[i] ? body.constant(*numbers[i], type)
                                 : body.cast(args[next++], type);
        Scalar flag = body.cast(args[0], DType::Bool);
        return body.select(flag, values[0], values[1]);
      });
}

//===----------------------------------------------------------------------===//
// Reductions and contractions
//===----------------------------------------------------------------------===//

Number Emitter::neutral(Combine combine, DType type) {
  double infinity = std::numeric_limits<double>::infinity();
  bool isMin = combine == Combine::Min;
  switch (combine) {
  case Combine::Add:
  case Combine::Or:
    return Number(int64_t(0));
  case Combine::Mul:
    return Number(int64_t(1));
  case Combine::And:
    return Number(int64_t(isBool(type) ? 1 : -1));
  case Combine::Min:
  case Combine::Max:
    break;
  }
  if (isFloat(type))
    return Number(isMin ? infinity : -infinity);
  if (isUnsigned(type))
    return Number(int64_t(!isMin ? 0 : isBool(type) ? 1 : 255));
  APInt value = isMin ? APInt::getSignedMaxValue(getBitWidth(type))
                      : APInt::getSignedMinValue(getBitWidth(type));
  return Number(value.getSExtValue());
}

Scalar Emitter::combine(Body &body, Combine combine, Scalar lhs, Scalar rhs) {
  switch (combine) {
  case Combine::Add:
    return body.add(lhs, rhs);
  case Combine::Mul:
    return body.mul(lhs, rhs);
  case Combine::Min:
    return body.min(lhs, rhs);
  case Combine::Max:
    return body.max(lhs, rhs);
  case Combine::And:
    return body.bitAnd(lhs, rhs);
  case Combine::Or:
    return body.bitOr(lhs, rhs);
  }
  return lhs;
}

Tensor Emitter::reduce(const Tensor &tensor, ArrayRef<int64_t> dims, bool keep,
                       Combine kind, DType accumulate,
                       function_ref<Scalar(Body &, Scalar)> element) {
  SmallVector<AffineExpr> outExprs;
  Dims full;
  for (int64_t d = 0; d < tensor.rank(); ++d) {
    if (!llvm::is_contained(dims, d)) {
      outExprs.push_back(dim(d));
      full.push_back(tensor.dims[d]);
    } else if (keep) {
      full.push_back(SizeExpr(1));
    }
  }
  Tensor result = structured(
      tensor.dims,
      {{tensor, builder.getMultiDimIdentityMap(tensor.rank())}},
      getMap(tensor.rank(), outExprs), accumulate, neutral(kind, accumulate),
      [&](Body &body, ArrayRef<Scalar> args) {
        DType within = args[1].dtype;
        Scalar value = body.cast(args[0], within);
        if (element)
          value = body.cast(element(body, value), within);
        return combine(body, kind, args[1], value);
      });
  return reshape(result, full);
}

Tensor Emitter::contract(ArrayRef<SizeExpr> loops, const Access &lhs,
                         const Access &rhs, AffineMap out, DType type) {
  DType accumulate = getComputeType(type);
  return structured(loops, {lhs, rhs}, out, accumulate, Number(int64_t(0)),
                    [&](Body &body, ArrayRef<Scalar> args) {
                      Scalar product =
                          body.mul(body.cast(args[0], accumulate),
                                   body.cast(args[1], accumulate));
                      return body.add(args[2], product);
                    });
}

//===----------------------------------------------------------------------===//
// Data-dependent positions
//===----------------------------------------------------------------------===//

Tensor Emitter::gather(const Tensor &source, ArrayRef<Position> positions,
                       ArrayRef<Access> indices, ArrayRef<SizeExpr> loops,
                       StringRef what, bool wrap) {
  SmallVector<std::optional<unsigned>> kept;
  Dims sizes;
  for (const SizeExpr &size : loops) {
    if (isOne(size)) {
      kept.push_back(std::nullopt);
      continue;
    }
    kept.push_back(sizes.size());
    sizes.push_back(size);
  }
  unsigned numLoops = sizes.size();
  SmallVector<AffineExpr> replacements;
  for (std::optional<unsigned> loop : kept)
    replacements.push_back(loop ? dim(*loop) : zero());

  SmallVector<Value> values;
  SmallVector<AffineMap> indexMaps;
  for (const Access &index : indices) {
    Access access = compress(index, kept, numLoops);
    values.push_back(access.tensor.value);
    indexMaps.push_back(access.map);
  }
  SmallVector<AffineExpr> exprs;
  SmallVector<int64_t> sourceDims;
  for (const Position &position : positions) {
    sourceDims.push_back(position.index ? int64_t(*position.index) : -1);
    exprs.push_back(
        position.index
            ? zero()
            : simplifyAffineExpr(
                  position.expr.replaceDimsAndSymbols(replacements, {}),
                  numLoops, 0));
  }
  Value result = hr::GatherOp::create(
      builder, loc, getType(sizes, source.dtype), source.value, values,
      AffineMapAttr::get(getMap(numLoops, exprs)),
      builder.getAffineMapArrayAttr(indexMaps),
      builder.getDenseI64ArrayAttr(sourceDims),
      hr::getSizeArrayAttr(context(), sizes), builder.getStringAttr(what),
      wrap ? builder.getUnitAttr() : UnitAttr());
  return reshape({result, sizes, source.dtype}, loops);
}

Tensor Emitter::scatter(const Tensor &base, const Tensor &updates,
                        ArrayRef<Position> positions, ArrayRef<Access> indices,
                        hr::Combiner combiner, StringRef what, bool wrap) {
  SmallVector<std::optional<unsigned>> kept;
  SmallVector<int64_t> drop;
  unsigned numLoops = 0;
  for (auto [d, size] : llvm::enumerate(updates.dims)) {
    if (isOne(size)) {
      kept.push_back(std::nullopt);
      drop.push_back(d);
      continue;
    }
    kept.push_back(numLoops++);
  }
  SmallVector<AffineExpr> replacements;
  for (std::optional<unsigned> loop : kept)
    replacements.push_back(loop ? dim(*loop) : zero());

  SmallVector<Value> values;
  SmallVector<AffineMap> indexMaps;
  for (const Access &index : indices) {
    Access access = compress(index, kept, numLoops);
    values.push_back(access.tensor.value);
    indexMaps.push_back(access.map);
  }
  SmallVector<AffineExpr> exprs;
  SmallVector<int64_t> sourceDims;
  for (const Position &position : positions) {
    sourceDims.push_back(position.index ? int64_t(*position.index) : -1);
    exprs.push_back(
        position.index
            ? zero()
            : simplifyAffineExpr(
                  position.expr.replaceDimsAndSymbols(replacements, {}),
                  numLoops, 0));
  }
  Tensor source = dropDims(updates, drop);
  Value result = hr::ScatterOp::create(
      builder, loc, base.value.getType(), source.value, base.value, values,
      hr::CombinerAttr::get(context(), combiner),
      AffineMapAttr::get(getMap(numLoops, exprs)),
      builder.getAffineMapArrayAttr(indexMaps),
      builder.getDenseI64ArrayAttr(sourceDims), builder.getStringAttr(what),
      wrap ? builder.getUnitAttr() : UnitAttr());
  return {result, base.dims, base.dtype};
}

Tensor Emitter::sort(const Tensor &tensor, int64_t d, bool descending) {
  Value result = hr::SortOp::create(
      builder, loc, getType(tensor.dims, DType::Int64), tensor.value,
      builder.getI64IntegerAttr(d),
      descending ? builder.getUnitAttr() : UnitAttr());
  return {result, tensor.dims, DType::Int64};
}

Tensor Emitter::scan(const Tensor &tensor, int64_t d, hr::Combiner combiner) {
  Value result = hr::ScanOp::create(
      builder, loc, tensor.value.getType(), tensor.value,
      builder.getI64IntegerAttr(d),
      hr::CombinerAttr::get(context(), combiner));
  return {result, tensor.dims, tensor.dtype};
}
