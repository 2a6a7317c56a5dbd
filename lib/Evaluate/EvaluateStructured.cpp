//===- EvaluateStructured.cpp - Runs structured ops on the host -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Evaluate.h. Structured ops run over blocks of the last parallel
// dimension, reductions inside in row-major order.
//
//===----------------------------------------------------------------------===//

#include "EvaluateBody.h"
#include "EvaluatePositions.h"
#include "headrace/Evaluate/Evaluate.h"
#include "headrace/Target/MathLibrary.h"
#include "mlir/Analysis/SliceAnalysis.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace headrace;
using headrace::evaluate::Address;
using headrace::evaluate::advance;
using headrace::evaluate::Body;
using headrace::evaluate::Cell;
using headrace::evaluate::getAddress;
using headrace::evaluate::getStrides;
using headrace::evaluate::isEmpty;

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

namespace {
/// Sums in progress, each a double and what its roundings lost (Neumaier 1974,
/// "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen"):
/// a constant is made once, and read as often as the program runs.
class Sums {
public:
  Sums(Type type, MutableArrayRef<char> data)
      : type(type), data(data), sums(data.size() / getElementBytes(type)),
        lost(sums.size()) {
    std::vector<Cell> cells(sums.size());
    evaluate::load(type, data.data(), 1, cells.size(), cells.data());
    for (auto [sum, cell] : llvm::zip_equal(sums, cells))
      sum = type.isF64() ? cell.d : cell.f;
  }

  /// Adds `count` terms to the sums from element `at`, `stride` elements
  /// apart.
  void add(const Cell *terms, unsigned count, int64_t at, int64_t stride) {
    for (unsigned n = 0; n < count; ++n) {
      size_t place = at + n * stride;
      double term = type.isF64() ? terms[n].d : terms[n].f;
      double old = sums[place], sum = old + term;
      if (std::isfinite(sum))
        lost[place] += std::abs(old) >= std::abs(term) ? (old - sum) + term
                                                       : (term - sum) + old;
      sums[place] = sum;
    }
  }

  void finish() {
    std::vector<Cell> cells(sums.size());
    for (auto [n, cell] : llvm::enumerate(cells)) {
      double sum = std::isfinite(sums[n]) ? sums[n] + lost[n] : sums[n];
      if (type.isF64())
        cell.d = sum;
      else
        cell.f = static_cast<float>(sum);
    }
    evaluate::store(type, cells.data(), cells.size(), 1, data.data());
  }

private:
  Type type;
  MutableArrayRef<char> data;
  std::vector<double> sums, lost;
};
} // namespace

/// Whether result `number` is a sum of floats.
static bool isSum(linalg::GenericOp op, unsigned number) {
  SmallVector<Operation *, 4> combiners;
  return op.getNumReductionLoops() > 0 &&
         matchReduction(op.getRegionOutputArgs(), number, combiners) &&
         combiners.size() == 1 && isa<arith::AddFOp>(combiners.front());
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

namespace {
/// The loops of a structured op, and what runs in them.
class StructuredLoops {
public:
  /// Steps that fail say why in `error`.
  StructuredLoops(linalg::GenericOp op, std::string &error)
      : op(op), error(error), extents(op.getNumLoops(), -1) {}

  /// Takes the op's next operand; `known` is its tensor, or null if it is only
  /// written.
  LogicalResult addOperand(OpOperand &operand, const HostTensor *known,
                           ArrayRef<int64_t> shape);
  /// `outside` gives the body's scalars from above.
  LogicalResult compile(bool hostMath,
                        function_ref<FailureOr<Cell>(Value)> outside);
  /// Computes the results, once all operands are there.
  LogicalResult run();
  MutableArrayRef<HostTensor> getResults() { return results; }

private:
  LogicalResult fail(const Twine &message) {
    error = message.str();
    return failure();
  }
  void allocateResult(Type elementType, const HostTensor *init,
                      ArrayRef<int64_t> shape);
  void chooseOrder();
  void startSums();
  LogicalResult runBlocks(int64_t start, unsigned count);
  void loadInputs(unsigned count);
  void loadResults(unsigned count);
  void loadIndices(unsigned count);
  void storeResults(unsigned count);

  unsigned numInputs() const { return inputs.size(); }
  const Address &getResultAddress(unsigned k) const {
    return addresses[numInputs() + k];
  }
  /// How far apart the elements of a block lie.
  int64_t getStride(const Address &address) const {
    return along ? address.coefficients[*along] : 0;
  }

  linalg::GenericOp op;
  std::string &error;
  Body body;
  SmallVector<int64_t> extents;
  SmallVector<const HostTensor *> inputs;
  SmallVector<HostTensor> results;
  SmallVector<char *> resultData;
  /// Of the results that are sums of floats.
  std::vector<std::optional<Sums>> sums;
  /// Of all operands.
  SmallVector<Address> addresses;
  /// The loop that blocks run along, and the others from the outermost.
  std::optional<unsigned> along;
  SmallVector<unsigned> order;
  /// Of the first element of the block at hand.
  SmallVector<int64_t> position;
};
} // namespace

/// A result's memory, with what it starts from if the body reads that.
void StructuredLoops::allocateResult(Type elementType, const HostTensor *init,
                                     ArrayRef<int64_t> shape) {
  char *data;
  results.push_back(HostTensor::allocate(elementType, shape, data));
  resultData.push_back(data);
  if (init && !init->bytes.empty())
    std::memcpy(data, init->bytes.data(), init->bytes.size());
}

LogicalResult StructuredLoops::addOperand(OpOperand &operand,
                                          const HostTensor *known,
                                          ArrayRef<int64_t> shape) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  FailureOr<Address> address = getAddress(map, getStrides(shape));
  if (failed(address))
    return fail("an indexing map is not linear");
  addresses.push_back(*address);
  for (auto [d, expr] : llvm::enumerate(map.getResults()))
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      int64_t &size = extents[dim.getPosition()];
      if (size >= 0 && size != shape[d])
        return fail("operands disagree about a dimension");
      size = shape[d];
    }
  if (op.isDpsInit(&operand))
    allocateResult(
        cast<RankedTensorType>(operand.get().getType()).getElementType(),
        known, shape);
  else
    inputs.push_back(known);
  return success();
}

LogicalResult
StructuredLoops::compile(bool hostMath,
                         function_ref<FailureOr<Cell>(Value)> outside) {
  if (llvm::is_contained(extents, -1))
    return fail("a loop's extent is not known");
  return body.compile(*op.getBody(), hostMath, outside, error);
}

/// Blocks run along the last parallel dimension, and reductions innermost.
void StructuredLoops::chooseOrder() {
  SmallVector<unsigned> inner;
  for (auto [d, type] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (type == utils::IteratorType::parallel) {
      if (along)
        order.push_back(*along);
      along = d;
    } else {
      inner.push_back(d);
    }
  }
  order.append(inner);
}

void StructuredLoops::startSums() {
  sums.resize(results.size());
  for (auto [k, result] : llvm::enumerate(results))
    if (isSum(op, k))
      sums[k].emplace(result.elementType,
                      MutableArrayRef(resultData[k], result.bytes.size()));
}

void StructuredLoops::loadInputs(unsigned count) {
  for (auto [n, input] : llvm::enumerate(inputs)) {
    Type type = input->elementType;
    int64_t at = addresses[n].at(position);
    evaluate::load(type, input->bytes.data() + at * getElementBytes(type),
                   getStride(addresses[n]), count, body.argument(n));
  }
}

/// What the body gets of the results so far.
void StructuredLoops::loadResults(unsigned count) {
  for (auto [k, result] : llvm::enumerate(results)) {
    Type type = result.elementType;
    Cell *argument = body.argument(numInputs() + k);
    if (sums[k]) {
      // What the body yields is the term alone.
      Cell zero;
      if (type.isF64())
        zero.d = -0.0;
      else
        zero.f = -0.0f;
      std::fill_n(argument, count, zero);
      continue;
    }
    int64_t at = getResultAddress(k).at(position);
    evaluate::load(type, resultData[k] + at * getElementBytes(type),
                   getStride(getResultAddress(k)), count, argument);
  }
}

void StructuredLoops::loadIndices(unsigned count) {
  for (const Body::Index &index : body.indices()) {
    Cell *cells = body.reg(index.reg);
    bool moves = along && *along == index.dim;
    for (unsigned n = 0; n < count; ++n)
      cells[n].i = position[index.dim] + (moves ? n : 0);
  }
}

void StructuredLoops::storeResults(unsigned count) {
  for (auto [k, result] : llvm::enumerate(results)) {
    int64_t stride = getStride(getResultAddress(k));
    int64_t at = getResultAddress(k).at(position);
    if (sums[k])
      sums[k]->add(body.yielded(k), count, at, stride);
    else
      evaluate::store(result.elementType, body.yielded(k), count, stride,
                      resultData[k] +
                          at * getElementBytes(result.elementType));
  }
}

/// The blocks of `count` elements from `start`, over all other loops.
LogicalResult StructuredLoops::runBlocks(int64_t start, unsigned count) {
  SmallVector<int64_t> bounds = llvm::map_to_vector(
      order, [&](unsigned d) { return extents[d]; });
  SmallVector<int64_t> counter(order.size(), 0);
  do {
    for (auto [d, value] : llvm::zip(order, counter))
      position[d] = value;
    if (along)
      position[*along] = start;
    loadInputs(count);
    loadResults(count);
    loadIndices(count);
    if (!body.run(count))
      return fail("an operation has no defined result");
    storeResults(count);
  } while (advance(counter, bounds));
  return success();
}

LogicalResult StructuredLoops::run() {
  chooseOrder();
  startSums();
  position.assign(extents.size(), 0);
  int64_t extent = along ? extents[*along] : 1;
  if (!isEmpty(extents)) {
    for (int64_t start = 0; start < extent; start += evaluate::blockSize) {
      unsigned count = static_cast<unsigned>(
          std::min<int64_t>(evaluate::blockSize, extent - start));
      if (failed(runBlocks(start, count)))
        return failure();
    }
  }
  for (std::optional<Sums> &sum : sums)
    if (sum)
      sum->finish();
  return success();
}

/// The value of a scalar that a body takes from above: a constant, or what
/// `getIndex` says of an index.
static FailureOr<Cell>
getScalar(Value scalar, function_ref<FailureOr<int64_t>(Value)> getIndex) {
  Attribute constant;
  if (matchPattern(scalar, m_Constant(&constant)) &&
      isa<IntegerAttr, FloatAttr>(constant))
    return evaluate::fromAttribute(constant);
  Operation *cast = scalar.getDefiningOp();
  if (isa_and_nonnull<arith::IndexCastOp>(cast))
    scalar = cast->getOperand(0);
  if (!scalar.getType().isIndex())
    return failure();
  FailureOr<int64_t> index = getIndex(scalar);
  if (failed(index))
    return failure();
  Cell cell;
  cell.i = *index;
  return cell;
}

LogicalResult Evaluator::evaluateGeneric(Operation *op) {
  auto generic = cast<linalg::GenericOp>(op);
  StructuredLoops loops(generic, error);
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<RankedTensorType>(operand.get().getType()))
      return fail("a structured op has a scalar operand");
    const HostTensor *known = nullptr;
    SmallVector<int64_t> shape;
    if (!generic.isDpsInit(&operand) ||
        generic.payloadUsesValueFromOperand(&operand)) {
      known = require(operand.get());
      if (!known)
        return failure();
      shape = known->shape;
    } else {
      FailureOr<SmallVector<int64_t>> dims = getShape(operand.get());
      if (failed(dims))
        return failure();
      shape = *dims;
    }
    if (failed(loops.addOperand(operand, known, shape)))
      return failure();
  }
  auto outside = [&](Value scalar) {
    return getScalar(scalar, [&](Value index) { return getIndex(index); });
  };
  if (failed(loops.compile(hostMath, outside)) || failed(loops.run()))
    return failure();
  for (auto [value, tensor] : llvm::zip(op->getResults(), loops.getResults()))
    bind(value, std::move(tensor));
  return success();
}

//===----------------------------------------------------------------------===//
// Math functions
//===----------------------------------------------------------------------===//

/// A copy of `op`, in no block, whose math functions are written out as the
/// exact operations of our own library.
static linalg::GenericOp expandMath(linalg::GenericOp op) {
  auto copy = cast<linalg::GenericOp>(op->clone());
  for (Operation &inner : llvm::make_early_inc_range(*copy.getBody())) {
    if (!isMathFunction(&inner))
      continue;
    OpBuilder builder(&inner);
    Value value = expandMathFunction(builder, &inner);
    if (!value)
      continue;
    inner.getResult(0).replaceAllUsesWith(value);
    inner.erase();
  }
  return copy;
}

LogicalResult Evaluator::evaluateStructured(Operation *op) {
  auto generic = cast<linalg::GenericOp>(op);
  if (hostMath || llvm::none_of(*generic.getBody(), [](Operation &inner) {
        return isMathFunction(&inner);
      }))
    return evaluateGeneric(op);
  linalg::GenericOp expanded = expandMath(generic);
  LogicalResult result = evaluateGeneric(expanded);
  if (succeeded(result))
    for (auto [value, from] :
         llvm::zip(op->getResults(), expanded->getResults()))
      bind(value, *lookup(from));
  for (Value from : expanded->getResults())
    forget(from);
  expanded->erase();
  return result;
}
