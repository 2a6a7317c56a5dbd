//===- Evaluate.cpp - Runs the tensor level on the host -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Evaluate.h. Everything but structured ops (EvaluateStructured.cpp) is
// plain loops over positions.
//
//===----------------------------------------------------------------------===//

#include "headrace/Evaluate/Evaluate.h"
#include "EvaluateBody.h"
#include "EvaluatePositions.h"

#include <cmath>
#include <cstring>
#include <numeric>

using namespace mlir;
using namespace headrace;
using headrace::evaluate::Address;
using headrace::evaluate::advance;
using headrace::evaluate::Cell;
using headrace::evaluate::getAddress;
using headrace::evaluate::getStrides;
using headrace::evaluate::isEmpty;

//===----------------------------------------------------------------------===//
// Tensors and sizes
//===----------------------------------------------------------------------===//

HostTensor HostTensor::allocate(Type elementType, ArrayRef<int64_t> shape,
                                char *&data) {
  HostTensor tensor;
  tensor.elementType = elementType;
  tensor.shape.assign(shape.begin(), shape.end());
  auto owner = std::make_shared<std::vector<char>>(
      tensor.getNumElements() * getElementBytes(elementType));
  data = owner->data();
  tensor.bytes = ArrayRef<char>(owner->data(), owner->size());
  tensor.owner = owner;
  return tensor;
}

int64_t HostTensor::getNumElements() const {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

const HostTensor *Evaluator::lookup(Value value) const {
  auto it = values.find(value);
  return it == values.end() ? nullptr : &it->second;
}

FailureOr<SmallVector<int64_t>> Evaluator::getValues(ArrayAttr sizes) {
  SmallVector<int64_t> result;
  for (const SizeExpr &size : hr::getSizes(sizes)) {
    std::optional<int64_t> value = size.evaluate(symbols);
    if (!value)
      return fail("size '" + size.str() + "' has no value");
    result.push_back(*value);
  }
  return result;
}

FailureOr<SmallVector<int64_t>> Evaluator::getShape(Value tensor) {
  FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(tensor);
  if (failed(dims))
    return fail("a dimension is not known");
  SmallVector<int64_t> shape;
  for (const SizeExpr &dim : *dims) {
    std::optional<int64_t> value = dim.evaluate(symbols);
    if (!value || *value < 0)
      return fail("dimension '" + dim.str() + "' has no value");
    shape.push_back(*value);
  }
  return shape;
}

FailureOr<int64_t> Evaluator::getIndex(Value index) {
  auto it = iterations.find(index);
  if (it != iterations.end())
    return it->second;
  FailureOr<SizeExpr> size = hr::getSize(index);
  if (failed(size))
    return fail("an index is not known");
  std::optional<int64_t> value = size->evaluate(symbols);
  if (!value)
    return fail("size '" + size->str() + "' has no value");
  return *value;
}

const HostTensor *Evaluator::require(Value tensor) {
  const HostTensor *known = lookup(tensor);
  if (!known)
    error = "an operand is not known";
  return known;
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

LogicalResult Evaluator::evaluateFill(Operation *op) {
  auto fill = cast<linalg::FillOp>(op);
  FailureOr<SmallVector<int64_t>> shape = getShape(fill.getOutputs()[0]);
  if (failed(shape))
    return failure();
  Attribute constant;
  Value scalar = fill.getInputs()[0];
  if (!matchPattern(scalar, m_Constant(&constant)) ||
      !isa<IntegerAttr, FloatAttr>(constant))
    return fail("a fill's value is not known");
  char *data;
  Type type = scalar.getType();
  HostTensor tensor = HostTensor::allocate(type, *shape, data);
  Cell cell = evaluate::fromAttribute(constant);
  int64_t width = getElementBytes(type);
  for (int64_t n = 0, e = tensor.getNumElements(); n < e; ++n)
    evaluate::store(type, &cell, 1, 1, data + n * width);
  bind(op->getResult(0), std::move(tensor));
  return success();
}

LogicalResult Evaluator::evaluateDense(Operation *op) {
  auto dense =
      dyn_cast<DenseElementsAttr>(cast<arith::ConstantOp>(op).getValue());
  if (!dense)
    return success(); // A scalar.
  char *data;
  Type type = dense.getElementType();
  HostTensor tensor =
      HostTensor::allocate(type, dense.getType().getShape(), data);
  int64_t width = getElementBytes(type), n = 0;
  for (Attribute element : dense.getValues<Attribute>()) {
    Cell cell = evaluate::fromAttribute(element);
    evaluate::store(type, &cell, 1, 1, data + n++ * width);
  }
  bind(op->getResult(0), std::move(tensor));
  return success();
}

//===----------------------------------------------------------------------===//
// Weights, states, views
//===----------------------------------------------------------------------===//

LogicalResult Evaluator::evaluateStack(Operation *op) {
  ArrayAttr symbolsAttr;
  Value index;
  if (auto constant = dyn_cast<hr::ConstantOp>(op)) {
    symbolsAttr = constant.getWeights();
    index = constant.getIndex();
  } else if (auto read = dyn_cast<hr::ReadStateOp>(op)) {
    symbolsAttr = read.getStates();
    index = read.getIndex();
  } else {
    auto write = cast<hr::WriteStateOp>(op);
    symbolsAttr = write.getStates();
    index = write.getIndex();
  }
  int64_t slot = 0;
  if (index) {
    FailureOr<int64_t> value = getIndex(index);
    if (failed(value))
      return failure();
    slot = *value;
  }
  if (slot < 0 || slot >= static_cast<int64_t>(symbolsAttr.size()))
    return fail("a stack is indexed out of range");
  StringRef name = cast<FlatSymbolRefAttr>(symbolsAttr[slot]).getValue();

  if (auto write = dyn_cast<hr::WriteStateOp>(op)) {
    const HostTensor *value = require(write.getValue());
    if (!value)
      return failure();
    states[name] = *value;
    return success();
  }
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  StringRef weight = name;
  if (isa<hr::ReadStateOp>(op)) {
    auto it = states.find(name);
    if (it != states.end()) {
      bind(op->getResult(0), it->second);
      return success();
    }
    auto state = SymbolTable::lookupNearestSymbolFrom<hr::StateOp>(
        op, cast<FlatSymbolRefAttr>(symbolsAttr[slot]));
    if (!state.getInitial()) {
      char *data;
      bind(op->getResult(0), HostTensor::allocate(type.getElementType(),
                                                  type.getShape(), data));
      return success();
    }
    weight = *state.getInitial();
  }
  const WeightStore::Entry *entry = weights.lookup(weight);
  if (!entry || entry->type != type)
    return fail("weight '" + weight + "' has no bytes of type expected");
  FailureOr<WeightStore::Bytes> bytes = weights.read(weight);
  if (failed(bytes))
    return fail("weight '" + weight + "' cannot be read");
  HostTensor tensor;
  tensor.elementType = type.getElementType();
  tensor.shape.assign(type.getShape().begin(), type.getShape().end());
  tensor.bytes = bytes->data;
  tensor.owner = bytes->owner;
  bind(op->getResult(0), std::move(tensor));
  return success();
}

LogicalResult Evaluator::evaluateView(hr::ViewOp op) {
  const HostTensor *source = require(op.getSource());
  FailureOr<SmallVector<int64_t>> shape = getValues(op.getDims());
  FailureOr<SmallVector<int64_t>> offsets = getValues(op.getOffsets());
  if (!source || failed(shape) || failed(offsets))
    return failure();
  SmallVector<int64_t> strides = getStrides(source->shape);
  FailureOr<Address> address = getAddress(op.getMap(), strides);
  if (failed(address))
    return fail("a view's map is not linear");
  for (auto [offset, stride] : llvm::zip(*offsets, strides))
    address->constant += offset * stride;
  char *data;
  HostTensor result =
      HostTensor::allocate(source->elementType, *shape, data);
  int64_t width = getElementBytes(source->elementType);
  int64_t limit = source->getNumElements();
  if (!isEmpty(*shape)) {
    SmallVector<int64_t> at(shape->size(), 0);
    do {
      int64_t from = address->at(at);
      if (from < 0 || from >= limit)
        return fail("a view leaves its source");
      std::memcpy(data, source->bytes.data() + from * width, width);
      data += width;
    } while (advance(at, *shape));
  }
  bind(op.getResult(), std::move(result));
  return success();
}

LogicalResult Evaluator::evaluateUpdate(hr::UpdateOp op) {
  const HostTensor *base = require(op.getBase());
  const HostTensor *value = require(op.getValue());
  FailureOr<SmallVector<int64_t>> offsets = getValues(op.getOffsets());
  if (!base || !value || failed(offsets))
    return failure();
  SmallVector<int64_t> strides = getStrides(base->shape);
  FailureOr<Address> address = getAddress(op.getMap(), strides);
  if (failed(address))
    return fail("an update's map is not linear");
  for (auto [offset, stride] : llvm::zip(*offsets, strides))
    address->constant += offset * stride;
  char *data;
  HostTensor result =
      HostTensor::allocate(base->elementType, base->shape, data);
  if (!base->bytes.empty())
    std::memcpy(data, base->bytes.data(), base->bytes.size());
  int64_t width = getElementBytes(base->elementType), n = 0;
  int64_t limit = base->getNumElements();
  if (!isEmpty(value->shape)) {
    SmallVector<int64_t> at(value->shape.size(), 0);
    do {
      int64_t to = address->at(at);
      if (to < 0 || to >= limit)
        return fail("an update leaves its base");
      std::memcpy(data + to * width, value->bytes.data() + n++ * width, width);
    } while (advance(at, value->shape));
  }
  bind(op.getResult(), std::move(result));
  return success();
}

/// Copies all of `value` into `to` at `start`.
static void copyInto(char *to, ArrayRef<int64_t> toShape,
                     const HostTensor &value, ArrayRef<int64_t> start) {
  if (isEmpty(value.shape))
    return;
  SmallVector<int64_t> strides = getStrides(toShape);
  int64_t width = getElementBytes(value.elementType), n = 0;
  SmallVector<int64_t> at(value.shape.size(), 0);
  do {
    int64_t number = 0;
    for (auto [p, s, stride] : llvm::zip(at, start, strides))
      number += (p + s) * stride;
    std::memcpy(to + number * width, value.bytes.data() + n++ * width, width);
  } while (advance(at, value.shape));
}

LogicalResult Evaluator::evaluateConcat(hr::ConcatOp op) {
  FailureOr<SmallVector<int64_t>> shape = getValues(op.getDims());
  if (failed(shape))
    return failure();
  char *data;
  HostTensor result =
      HostTensor::allocate(op.getType().getElementType(), *shape, data);
  SmallVector<int64_t> start(shape->size(), 0);
  for (Value input : op.getInputs()) {
    const HostTensor *known = require(input);
    if (!known)
      return failure();
    copyInto(data, *shape, *known, start);
    start[op.getDim()] += known->shape[op.getDim()];
  }
  bind(op.getResult(), std::move(result));
  return success();
}

LogicalResult Evaluator::evaluatePad(hr::PadOp op) {
  const HostTensor *source = require(op.getSource());
  FailureOr<SmallVector<int64_t>> shape = getValues(op.getDims());
  FailureOr<SmallVector<int64_t>> low = getValues(op.getLow());
  if (!source || failed(shape) || failed(low))
    return failure();
  char *data;
  HostTensor result =
      HostTensor::allocate(source->elementType, *shape, data);
  Cell cell = evaluate::fromAttribute(op.getValue());
  int64_t width = getElementBytes(source->elementType);
  for (int64_t n = 0, e = result.getNumElements(); n < e; ++n)
    evaluate::store(source->elementType, &cell, 1, 1, data + n * width);
  copyInto(data, *shape, *source, *low);
  bind(op.getResult(), std::move(result));
  return success();
}

//===----------------------------------------------------------------------===//
// Gather, scatter, streams, loops
//===----------------------------------------------------------------------===//

/// `*to = *to (combiner) *from`.
static void combineAt(hr::Combiner combiner, Type type, const char *from,
                      char *to) {
  Cell a, b;
  evaluate::load(type, to, 0, 1, &a);
  evaluate::load(type, from, 0, 1, &b);
  auto pick = [&](auto x, auto y) -> decltype(x) {
    using T = decltype(x);
    switch (combiner) {
    case hr::Combiner::Replace: return y;
    case hr::Combiner::Add: return static_cast<T>(x + y);
    case hr::Combiner::Mul: return static_cast<T>(x * y);
    case hr::Combiner::Min: return y < x || y != y ? y : x;
    case hr::Combiner::Max: return y > x || y != y ? y : x;
    }
    return y;
  };
  bool isSum = combiner == hr::Combiner::Add || combiner == hr::Combiner::Mul;
  if (type.isF64())
    a.d = pick(a.d, b.d);
  else if (isa<FloatType>(type))
    a.f = pick(a.f, b.f);
  else if (isSum) // Wraps around.
    a.i = static_cast<int64_t>(
        pick(static_cast<uint64_t>(a.i), static_cast<uint64_t>(b.i)));
  else
    a.i = pick(a.i, b.i);
  evaluate::store(type, &a, 1, 0, to);
}

LogicalResult Evaluator::evaluateIndexed(Operation *op) {
  auto gather = dyn_cast<hr::GatherOp>(op);
  auto scatter = dyn_cast<hr::ScatterOp>(op);
  const HostTensor *target =
      require(gather ? gather.getSource() : scatter.getBase());
  OperandRange indexOperands =
      gather ? gather.getIndices() : scatter.getIndices();
  AffineMap map = gather ? gather.getSourceMap() : scatter.getSourceMap();
  ArrayAttr indexMaps =
      gather ? gather.getIndexMaps() : scatter.getIndexMaps();
  ArrayRef<int64_t> sourceDims =
      gather ? gather.getSourceDims() : scatter.getSourceDims();
  bool wraps = gather ? gather.getWrap() : scatter.getWrap();
  if (!target)
    return failure();
  SmallVector<int64_t> iteration;
  const HostTensor *updates = nullptr;
  if (gather) {
    FailureOr<SmallVector<int64_t>> shape = getValues(gather.getDims());
    if (failed(shape))
      return failure();
    iteration = *shape;
  } else {
    updates = require(scatter.getUpdates());
    if (!updates)
      return failure();
    iteration = updates->shape;
  }
  SmallVector<const HostTensor *> indices;
  SmallVector<Address> addresses;
  for (auto [value, attr] : llvm::zip(indexOperands, indexMaps)) {
    const HostTensor *index = require(value);
    if (!index)
      return failure();
    FailureOr<Address> address = getAddress(
        cast<AffineMapAttr>(attr).getValue(), getStrides(index->shape));
    if (failed(address))
      return fail("an index map is not linear");
    indices.push_back(index);
    addresses.push_back(*address);
  }
  SmallVector<Address> mapped;
  for (AffineExpr expr : map.getResults()) {
    Address address;
    address.coefficients.assign(map.getNumDims(), 0);
    if (failed(evaluate::addExpr(expr, 1, address)))
      return fail("a source map is not linear");
    mapped.push_back(address);
  }

  Type type = target->elementType;
  int64_t width = getElementBytes(type);
  char *data;
  HostTensor result = HostTensor::allocate(
      type, gather ? ArrayRef<int64_t>(iteration) : target->shape, data);
  if (scatter && !target->bytes.empty())
    std::memcpy(data, target->bytes.data(), target->bytes.size());
  SmallVector<int64_t> strides = getStrides(target->shape);
  int64_t n = 0;
  if (!isEmpty(iteration)) {
    SmallVector<int64_t> at(iteration.size(), 0);
    do {
      int64_t number = 0;
      for (auto [d, size] : llvm::enumerate(target->shape)) {
        int64_t p;
        if (sourceDims[d] < 0) {
          p = mapped[d].at(at);
        } else {
          const HostTensor *index = indices[sourceDims[d]];
          Cell cell;
          evaluate::load(index->elementType,
                         index->bytes.data() +
                             addresses[sourceDims[d]].at(at) *
                                 getElementBytes(index->elementType),
                         0, 1, &cell);
          p = cell.i + (wraps && cell.i < 0 ? size : 0);
        }
        if (p < 0 || p >= size)
          return fail("index " + Twine(p) + " is not in [0, " + Twine(size) +
                      ")");
        number += p * strides[d];
      }
      if (gather)
        std::memcpy(data + n * width, target->bytes.data() + number * width,
                    width);
      else
        combineAt(scatter.getCombiner(), type,
                  updates->bytes.data() + n * width, data + number * width);
      ++n;
    } while (advance(at, iteration));
  }
  bind(op->getResult(0), std::move(result));
  return success();
}

LogicalResult Evaluator::evaluateSoftmaxSum(hr::SoftmaxSumOp op) {
  if (!hostMath)
    return fail("exp is not exact");
  const HostTensor *logits = require(op.getLogits());
  const HostTensor *value = require(op.getValue());
  FailureOr<SmallVector<int64_t>> shape = getValues(op.getDims());
  if (!logits || !value || failed(shape))
    return failure();
  SmallVector<AffineMap> maps =
      llvm::to_vector(op.getMaps().getAsValueRange<AffineMapAttr>());
  SmallVector<int64_t> loops(maps[0].getNumDims(), 1);
  const ArrayRef<int64_t> shapes[] = {logits->shape, value->shape, *shape};
  SmallVector<Address> addresses;
  for (auto [map, extents] : llvm::zip(maps, shapes)) {
    for (auto [expr, size] : llvm::zip(map.getResults(), extents))
      loops[cast<AffineDimExpr>(expr).getPosition()] = size;
    addresses.push_back(*getAddress(map, getStrides(extents)));
  }
  unsigned streamed = 0;
  while (maps[2].isFunctionOfDim(streamed))
    ++streamed;
  int64_t extent = loops[streamed];
  loops[streamed] = 1;

  auto read = [](const HostTensor &tensor, int64_t at) -> double {
    Cell cell;
    evaluate::load(tensor.elementType,
                   tensor.bytes.data() +
                       at * getElementBytes(tensor.elementType),
                   0, 1, &cell);
    return tensor.elementType.isF64() ? cell.d : cell.f;
  };
  Type type = op.getType().getElementType();
  char *data;
  HostTensor result = HostTensor::allocate(type, *shape, data);
  if (!isEmpty(loops)) {
    SmallVector<int64_t> at(loops.size(), 0);
    do {
      int64_t l = addresses[0].at(at), v = addresses[1].at(at);
      int64_t dl = addresses[0].coefficients[streamed];
      int64_t dv = addresses[1].coefficients[streamed];
      double max = -std::numeric_limits<double>::infinity();
      for (int64_t j = 0; j < extent; ++j) {
        double e = read(*logits, l + j * dl);
        max = std::isnan(e) || e > max ? e : max;
        if (std::isnan(e))
          break;
      }
      double sum = 0, weighted = 0;
      for (int64_t j = 0; j < extent; ++j) {
        double p = std::exp(read(*logits, l + j * dl) - max);
        sum += p;
        weighted += p * read(*value, v + j * dv);
      }
      double quotient = weighted / sum;
      if (extent == 0 ||
          (op.getZeroMaskedRows() && std::isinf(max) && max < 0))
        quotient = 0;
      Cell cell;
      if (type.isF64())
        cell.d = quotient;
      else
        cell.f = static_cast<float>(quotient);
      evaluate::store(type, &cell, 1, 0,
                      data + addresses[2].at(at) * getElementBytes(type));
    } while (advance(at, loops));
  }
  bind(op.getResult(), std::move(result));
  return success();
}

LogicalResult Evaluator::evaluateSort(hr::SortOp op) {
  const HostTensor *source = require(op.getSource());
  if (!source)
    return failure();
  Type type = source->elementType;
  int64_t width = getElementBytes(type);
  char *data;
  HostTensor result =
      HostTensor::allocate(op.getType().getElementType(), source->shape, data);
  auto *positions = reinterpret_cast<int64_t *>(data);
  int64_t extent = source->shape[op.getDim()];
  int64_t stride = getStrides(source->shape)[op.getDim()];
  SmallVector<int64_t> rows(source->shape);
  rows[op.getDim()] = std::min<int64_t>(extent, 1);
  SmallVector<int64_t> strides = getStrides(source->shape);
  SmallVector<int64_t> at(rows.size(), 0), order(extent);
  if (isEmpty(rows)) {
    bind(op.getResult(), std::move(result));
    return success();
  }
  do {
    int64_t first = 0;
    for (auto [index, step] : llvm::zip(at, strides))
      first += index * step;
    std::iota(order.begin(), order.end(), 0);
    llvm::stable_sort(order, [&](int64_t i, int64_t j) {
      if (op.getDescending())
        std::swap(i, j);
      Cell x, y;
      evaluate::load(type, source->bytes.data() + (first + i * stride) * width,
                     0, 1, &x);
      evaluate::load(type, source->bytes.data() + (first + j * stride) * width,
                     0, 1, &y);
      if (type.isF64())
        return x.d < y.d || (!std::isnan(x.d) && std::isnan(y.d));
      if (isa<FloatType>(type))
        return x.f < y.f || (!std::isnan(x.f) && std::isnan(y.f));
      return x.i < y.i;
    });
    for (int64_t i = 0; i < extent; ++i)
      positions[first + i * stride] = order[i];
  } while (advance(at, rows));
  bind(op.getResult(), std::move(result));
  return success();
}

LogicalResult Evaluator::evaluateScan(hr::ScanOp op) {
  const HostTensor *source = require(op.getSource());
  if (!source)
    return failure();
  char *data;
  Type type = source->elementType;
  HostTensor result = HostTensor::allocate(type, source->shape, data);
  if (!source->bytes.empty())
    std::memcpy(data, source->bytes.data(), source->bytes.size());
  int64_t width = getElementBytes(type), n = 0;
  int64_t stride = getStrides(source->shape)[op.getDim()] * width;
  // As it is emitted: a running sum starts from zero and is kept in f64.
  bool isSum = isa<FloatType>(type) && op.getCombiner() == hr::Combiner::Add;
  bool isWide = isa<FloatType>(type) && !type.isF64() &&
                (op.getCombiner() == hr::Combiner::Add ||
                 op.getCombiner() == hr::Combiner::Mul);
  std::vector<double> running(isWide ? result.getNumElements() : 0);
  if (!isEmpty(source->shape)) {
    SmallVector<int64_t> at(source->shape.size(), 0);
    do {
      if (isWide) {
        Cell cell;
        evaluate::load(type, data + n * width, 0, 1, &cell);
        running[n] = isSum ? cell.f + 0.0 : cell.f;
        if (at[op.getDim()] > 0) {
          double before = running[n - stride / width];
          running[n] = op.getCombiner() == hr::Combiner::Add
                           ? before + running[n]
                           : before * running[n];
        }
        cell.f = static_cast<float>(running[n]);
        evaluate::store(type, &cell, 1, 0, data + n * width);
      } else if (at[op.getDim()] > 0) {
        // What came before, combined with this element, in this order.
        SmallVector<char, 8> element(data + n * width,
                                     data + (n + 1) * width);
        std::memcpy(data + n * width, data + n * width - stride, width);
        combineAt(op.getCombiner(), type, element.data(), data + n * width);
      } else if (isSum) {
        Cell cell;
        evaluate::load(type, data + n * width, 0, 1, &cell);
        cell.d += 0.0;
        evaluate::store(type, &cell, 1, 0, data + n * width);
      }
      ++n;
    } while (advance(at, source->shape));
  }
  bind(op.getResult(), std::move(result));
  return success();
}

LogicalResult Evaluator::evaluateRepeat(hr::RepeatOp op) {
  Block &block = op.getBody().front();
  SmallVector<HostTensor> carried;
  for (Value init : op.getInits()) {
    const HostTensor *known = require(init);
    if (!known)
      return failure();
    carried.push_back(*known);
  }
  for (int64_t i = 0; i < static_cast<int64_t>(op.getCount()); ++i) {
    iterations[block.getArgument(0)] = i;
    for (auto [n, tensor] : llvm::enumerate(carried))
      bind(block.getArgument(n + 1), tensor);
    for (Operation &inner : block.without_terminator())
      if (failed(evaluate(&inner)))
        return failure();
    for (auto [n, value] :
         llvm::enumerate(block.getTerminator()->getOperands())) {
      const HostTensor *known = require(value);
      if (!known)
        return failure();
      carried[n] = *known;
    }
  }
  for (auto [result, tensor] : llvm::zip(op.getResults(), carried))
    bind(result, tensor);
  return success();
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

LogicalResult Evaluator::evaluate(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](linalg::GenericOp) { return evaluateStructured(op); })
      .Case([&](linalg::FillOp) { return evaluateFill(op); })
      .Case([&](arith::ConstantOp) { return evaluateDense(op); })
      .Case<hr::ConstantOp, hr::ReadStateOp, hr::WriteStateOp>(
          [&](auto) { return evaluateStack(op); })
      .Case([&](hr::ReshapeOp reshape) -> LogicalResult {
        const HostTensor *source = require(reshape.getSource());
        FailureOr<SmallVector<int64_t>> shape = getValues(reshape.getDims());
        if (!source || failed(shape))
          return failure();
        HostTensor result = *source;
        result.shape = *shape;
        if (result.getNumElements() != source->getNumElements())
          return fail("a reshape changes the number of elements");
        bind(reshape.getResult(), std::move(result));
        return success();
      })
      .Case([&](hr::ViewOp view) { return evaluateView(view); })
      .Case([&](hr::UpdateOp update) { return evaluateUpdate(update); })
      .Case([&](hr::ConcatOp concat) { return evaluateConcat(concat); })
      .Case([&](hr::PadOp pad) { return evaluatePad(pad); })
      .Case<hr::GatherOp, hr::ScatterOp>(
          [&](auto) { return evaluateIndexed(op); })
      .Case([&](hr::SoftmaxSumOp sum) { return evaluateSoftmaxSum(sum); })
      .Case([&](hr::ScanOp scan) { return evaluateScan(scan); })
      .Case([&](hr::SortOp sort) { return evaluateSort(sort); })
      .Case([&](hr::RepeatOp repeat) { return evaluateRepeat(repeat); })
      .Case<tensor::EmptyOp>([&](tensor::EmptyOp empty) -> LogicalResult {
        FailureOr<SmallVector<int64_t>> shape = getShape(empty.getResult());
        if (failed(shape))
          return failure();
        char *data;
        bind(empty.getResult(),
             HostTensor::allocate(empty.getType().getElementType(), *shape,
                                  data));
        return success();
      })
      .Case<hr::SizeOp, arith::IndexCastOp>(
          [](auto) { return success(); })
      .Default([&](Operation *other) {
        return fail("cannot evaluate " + other->getName().getStringRef());
      });
}

FailureOr<SmallVector<HostTensor>>
Evaluator::run(func::FuncOp entry, ArrayRef<HostTensor> arguments) {
  for (auto [argument, tensor] :
       llvm::zip_equal(entry.getArguments(), arguments))
    bind(argument, tensor);
  for (Operation &op : entry.getBody().front().without_terminator())
    if (failed(evaluate(&op)))
      return failure();
  SmallVector<HostTensor> results;
  for (Value value : entry.getBody().front().getTerminator()->getOperands()) {
    const HostTensor *known = require(value);
    if (!known)
      return failure();
    results.push_back(*known);
  }
  return results;
}
