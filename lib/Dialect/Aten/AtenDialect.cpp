//===- AtenDialect.cpp - The aten dialect: attributes and types -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/Aten/Aten.h"
#include "headrace/Dialect/HR/HRUtils.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/Location.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::aten;

#include "headrace/Dialect/Aten/AtenDialect.cpp.inc"
#include "headrace/Dialect/Aten/AtenEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "headrace/Dialect/Aten/AtenAttrs.cpp.inc"

void AtenDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "headrace/Dialect/Aten/AtenAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "headrace/Dialect/Aten/AtenOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// LayoutAttr
//===----------------------------------------------------------------------===//

static ParseResult parseSizes(AsmParser &parser,
                              SmallVectorImpl<hr::SizeAttr> &sizes) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() -> ParseResult {
    std::string text, error;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseString(&text))
      return failure();
    FailureOr<SizeExpr> expr = SizeExpr::parse(text, &error);
    if (failed(expr))
      return parser.emitError(loc) << "size '" << text << "': " << error;
    sizes.push_back(hr::SizeAttr::get(parser.getContext(), *expr));
    return ParseResult::success();
  });
}

Attribute LayoutAttr::parse(AsmParser &parser, Type) {
  SmallVector<hr::SizeAttr> dims, strides;
  if (parser.parseLess() || parser.parseKeyword("dims") ||
      parser.parseEqual() || parseSizes(parser, dims))
    return {};
  if (succeeded(parser.parseOptionalComma()) &&
      (parser.parseKeyword("strides") || parser.parseEqual() ||
       parseSizes(parser, strides)))
    return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<LayoutAttr>(parser.getContext(), dims, strides);
}

void LayoutAttr::print(AsmPrinter &printer) const {
  auto printSizes = [&](ArrayRef<hr::SizeAttr> sizes) {
    printer << "[";
    llvm::interleaveComma(sizes, printer, [&](hr::SizeAttr size) {
      printer << '"' << size.getText() << '"';
    });
    printer << "]";
  };
  printer << "<dims = ";
  printSizes(getDims());
  if (!getStrides().empty()) {
    printer << ", strides = ";
    printSizes(getStrides());
  }
  printer << ">";
}

LogicalResult
LayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                   ArrayRef<hr::SizeAttr> dims,
                   ArrayRef<hr::SizeAttr> strides) {
  if (!strides.empty() && strides.size() != dims.size())
    return emitError() << "expected " << dims.size() << " strides but got "
                       << strides.size();
  return success();
}

//===----------------------------------------------------------------------===//
// Tensor types
//===----------------------------------------------------------------------===//

SmallVector<SizeExpr> aten::getRowMajorStrides(ArrayRef<SizeExpr> dims) {
  SmallVector<SizeExpr> strides(dims.size(), SizeExpr(1));
  for (size_t d = dims.size(); d-- > 1;)
    // A dimension of size 0 counts as 1, as in torch.
    strides[d - 1] =
        dims[d].getConstant() == 0 ? strides[d] : strides[d] * dims[d];
  return strides;
}

RankedTensorType aten::getTensorType(ArrayRef<SizeExpr> dims,
                                     ArrayRef<SizeExpr> strides,
                                     Type elementType) {
  MLIRContext *context = elementType.getContext();
  SmallVector<int64_t> shape = hr::getStaticShape(dims);
  SmallVector<SizeExpr> rowMajor = getRowMajorStrides(dims);
  // The stride of a dimension of size 1 means nothing.
  bool isRowMajor = true;
  for (auto [d, dim] : llvm::enumerate(dims))
    if (dim.getConstant() != 1 && strides[d] != rowMajor[d])
      isRowMajor = false;
  if (isRowMajor && !ShapedType::isDynamicShape(shape))
    return RankedTensorType::get(shape, elementType);
  auto toAttrs = [&](ArrayRef<SizeExpr> sizes) {
    return llvm::map_to_vector(sizes, [&](const SizeExpr &size) {
      return hr::SizeAttr::get(context, size);
    });
  };
  SmallVector<hr::SizeAttr> strideAttrs;
  if (!isRowMajor)
    strideAttrs = toAttrs(strides);
  return RankedTensorType::get(
      shape, elementType, LayoutAttr::get(context, toAttrs(dims), strideAttrs));
}

RankedTensorType aten::getTensorType(ArrayRef<SizeExpr> dims,
                                     Type elementType) {
  return getTensorType(dims, getRowMajorStrides(dims), elementType);
}

SmallVector<SizeExpr> aten::getDims(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  SmallVector<SizeExpr> dims;
  if (auto layout = dyn_cast_or_null<LayoutAttr>(type.getEncoding())) {
    for (hr::SizeAttr size : layout.getDims())
      dims.push_back(size.getExpr());
    return dims;
  }
  for (int64_t size : type.getShape())
    dims.push_back(SizeExpr(size));
  return dims;
}

SmallVector<SizeExpr> aten::getStrides(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  auto layout = dyn_cast_or_null<LayoutAttr>(type.getEncoding());
  if (!layout || layout.getStrides().empty())
    return getRowMajorStrides(getDims(tensor));
  SmallVector<SizeExpr> strides;
  for (hr::SizeAttr size : layout.getStrides())
    strides.push_back(size.getExpr());
  return strides;
}

RankedTensorType aten::dropLayout(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return RankedTensorType::get(type.getShape(), type.getElementType());
}

//===----------------------------------------------------------------------===//
// Locations
//===----------------------------------------------------------------------===//

StringRef aten::getNodeName(Location loc) {
  if (auto named = dyn_cast<NameLoc>(loc))
    return named.getName();
  return {};
}

Location aten::getUserLocation(Location loc) {
  Location current = loc;
  while (auto named = dyn_cast<NameLoc>(current))
    current = named.getChildLoc();
  return isa<FileLineColLoc>(current) ? current : loc;
}

std::string aten::describeUser(Location loc) {
  auto line = dyn_cast<FileLineColLoc>(getUserLocation(loc));
  if (!line || line.getLine() == 0)
    return "";
  return (line.getFilename().getValue() + ":" + Twine(line.getLine())).str();
}
