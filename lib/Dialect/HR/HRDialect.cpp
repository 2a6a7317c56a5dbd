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
