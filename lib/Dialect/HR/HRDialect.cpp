//===- HRDialect.cpp - The hr dialect: attributes, registration -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Dialect/HR/HR.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::hr;

#include "headrace/Dialect/HR/HRDialect.cpp.inc"
#include "headrace/Dialect/HR/HREnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "headrace/Dialect/HR/HRAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "headrace/Dialect/HR/HRTypes.cpp.inc"

void HRDialect::initialize() {
  weights = std::make_shared<WeightStore>();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "headrace/Dialect/HR/HRAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "headrace/Dialect/HR/HRTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "headrace/Dialect/HR/HROps.cpp.inc"
      >();
}

WeightStore &HRDialect::getWeights() { return *weights; }
void HRDialect::setWeights(std::shared_ptr<WeightStore> store) {
  weights = std::move(store);
}
std::shared_ptr<WeightStore> HRDialect::shareWeights() { return weights; }

Operation *HRDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                          Type type, Location loc) {
  if (auto integer = dyn_cast<IntegerAttr>(value))
    return arith::ConstantOp::create(builder, loc, integer);
  return nullptr;
}

Type FragmentType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type elementType;
  SMLoc at = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType) || parser.parseGreater())
    return Type();
  if (shape.size() != 2) {
    parser.emitError(at) << "expected rows and columns but got "
                         << shape.size() << " dimensions";
    return Type();
  }
  return get(parser.getContext(), shape[0], shape[1], elementType);
}

void FragmentType::print(AsmPrinter &printer) const {
  printer << "<" << getRows() << "x" << getColumns() << "x" << getElementType()
          << ">";
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// Beyond what any machine has; code for more would fill the memory.
static constexpr int64_t maxLanes = 1024, maxAtomSize = 1024,
                         maxRegisterTile = 1024;

/// Checks that the text is the canonical one of a size.
static LogicalResult
verifySizeText(function_ref<InFlightDiagnostic()> emitError, StringRef text) {
  std::string error;
  FailureOr<SizeExpr> expr = SizeExpr::parse(text, &error);
  if (failed(expr))
    return emitError() << "invalid size '" << text << "': " << error;
  std::string canonical = expr->str();
  if (canonical != text)
    return emitError() << "size '" << text << "' is not canonical, expected '"
                       << canonical << "'";
  return success();
}

LogicalResult SizeAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               StringRef text) {
  return verifySizeText(emitError, text);
}

LogicalResult
RequirementAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                        StringRef condition, StringRef, StringRef) {
  return verifySizeText(emitError, condition);
}

SizeExpr RequirementAttr::getExpr() const {
  return *SizeExpr::parse(getCondition());
}

SizeAttr SizeAttr::get(MLIRContext *context, const SizeExpr &expr) {
  return Base::get(context, expr.str());
}

SizeExpr SizeAttr::getExpr() const { return *SizeExpr::parse(getText()); }

LogicalResult SymbolAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 StringRef name, int64_t least,
                                 int64_t largest) {
  if (least > largest)
    return emitError() << "symbol '" << name << "' has the empty range ["
                       << least << ", " << largest << "]";
  return success();
}

LogicalResult FootprintAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                    AffineMap origin, ArrayAttr extent,
                                    SizeAttr touched) {
  if (!origin || !extent)
    return emitError() << "a footprint needs an origin and extents";
  if (origin.getNumSymbols() != 0)
    return emitError() << "the origin of a footprint is a map of the tile's "
                          "coordinates alone, but has "
                       << origin.getNumSymbols() << " symbols";
  if (!extent.empty() && origin.getNumResults() != extent.size())
    return emitError() << "a footprint begins at " << origin.getNumResults()
                       << " indices but has " << extent.size() << " extents";
  for (Attribute size : extent) {
    auto known = dyn_cast<SizeAttr>(size);
    if (!known)
      return emitError() << "expected extents of type #hr.size but got "
                         << size;
    if (known.getExpr().getConstant().value_or(0) < 0)
      return emitError() << "a footprint has the extent " << known.getText();
  }
  if (touched && touched.getExpr().getConstant().value_or(0) < 0)
    return emitError() << "a footprint touches " << touched.getText()
                       << " indices";
  return success();
}

LogicalResult AtomAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               StringRef instruction, int64_t m, int64_t n,
                               int64_t k, bool fragments) {
  if (instruction.empty())
    return emitError() << "an atom needs an instruction";
  for (int64_t size : {m, n, k})
    if (size < 1 || size > maxAtomSize)
      return emitError() << "an atom is " << m << " x " << n << " x " << k
                         << ", expected 1 to " << maxAtomSize << " of each";
  return success();
}

LogicalResult NestPlanAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   int64_t vector, int64_t vectors, int64_t row,
                                   int64_t rows, int64_t block, int64_t group,
                                   DenseI64ArrayAttr packed, int64_t cost,
                                   AtomAttr atom, bool totalsInScratch) {
  for (auto [name, loop] :
       {std::pair("vector", vector), {"row", row}, {"group", group}})
    if (loop < -1)
      return emitError() << "a nest has " << name << " = " << loop
                         << ", expected the number of a loop or -1";
  if ((vector >= 0 && (vector == row || vector == group)) ||
      (row >= 0 && row == group))
    return emitError() << "a nest takes one loop twice: vector = " << vector
                       << ", row = " << row << ", group = " << group;
  for (auto [name, count] : {std::pair("vectors", vectors), {"rows", rows}})
    if (count < 1 || count > maxRegisterTile)
      return emitError() << "a nest has " << name << " = " << count
                         << ", expected 1 to " << maxRegisterTile;
  if (block < 0)
    return emitError() << "a nest sums blocks of " << block;
  if (cost < 0)
    return emitError() << "a nest costs " << cost << " fs per point";
  // The two factors of a product.
  SmallVector<int64_t> seen;
  if (packed)
    for (int64_t operand : packed.asArrayRef()) {
      if (operand < 0 || operand > 1 || llvm::is_contained(seen, operand))
        return emitError() << "a nest packs operand " << operand
                           << ", expected 0 and 1, each once";
      seen.push_back(operand);
    }
  if (atom && (vector < 0 || group < 0))
    return emitError() << "a nest of an atom needs a vector and a group";
  if (totalsInScratch && block == 0)
    return emitError() << "a nest has totals, but no blocks that join them";
  return success();
}

LogicalResult OriginAttr::verify(
    function_ref<InFlightDiagnostic()> emitError, PlanAttr plan,
    ArrayAttr contractions, ArrayAttr sources) {
  if (!plan || !contractions || !sources)
    return emitError() << "an origin needs a plan, contractions and sources";
  for (Attribute contraction : contractions)
    if (!isa<ContractionAttr>(contraction))
      return emitError() << "expected contractions of type #hr.contraction but "
                            "got "
                         << contraction;
  for (Attribute source : sources)
    if (!isa<LocationAttr>(source))
      return emitError() << "expected locations as sources but got " << source;
  return success();
}

OriginAttr HRDialect::getOrigin(Operation *function) {
  return function->getAttrOfType<OriginAttr>(getOriginAttrName());
}

LogicalResult HRDialect::verifyOperationAttribute(Operation *op,
                                                  NamedAttribute attribute) {
  if (attribute.getName() != getOriginAttrName())
    return success();
  if (!isa<FunctionOpInterface>(op))
    return op->emitError() << "'" << getOriginAttrName()
                           << "' belongs on the function of a stage";
  if (!isa<OriginAttr>(attribute.getValue()))
    return op->emitError() << "expected '" << getOriginAttrName()
                           << "' to be an #hr.origin but got "
                           << attribute.getValue();
  return success();
}

LogicalResult PlanAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               DenseI64ArrayAttr tile, int64_t lanes,
                               int64_t stream, ArrayAttr nests,
                               int64_t nanoseconds, StringRef runnerUp,
                               bool bypass, ArrayAttr edges) {
  if (!tile || !nests)
    return emitError() << "a plan needs tiles and nests";
  for (int64_t size : tile.asArrayRef())
    if (size < 0)
      return emitError() << "a plan has tiles of " << size;
  if (lanes < 1 || lanes > maxLanes || !llvm::isPowerOf2_64(lanes))
    return emitError() << "a plan has " << lanes
                       << " lanes, expected a power of two up to " << maxLanes;
  if (stream < 1)
    return emitError() << "a plan streams blocks of " << stream;
  if (nanoseconds < 0)
    return emitError() << "a plan takes " << nanoseconds << " nanoseconds";
  for (Attribute nest : nests)
    if (!isa<NestPlanAttr>(nest))
      return emitError() << "expected nests of type #hr.nest but got " << nest;
  for (Attribute edge : edges ? edges.getValue() : ArrayRef<Attribute>())
    if (!isa<EdgeAttr>(edge))
      return emitError() << "expected edges of type #hr.edge but got " << edge;
  return success();
}

LogicalResult EdgeAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t nest, int64_t value, StringRef memory,
                               int64_t bytes) {
  if (nest < 0 || value < 0 || bytes < 0 || memory.empty())
    return emitError() << "an edge of nest " << nest << ", value " << value
                       << ", with " << bytes << " bytes in '" << memory << "'";
  return success();
}
