//===- HWDialect.cpp - The hw dialect: figures and registration -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Figures are kept in base units. A figure prints as the shortest number over
// all units of its dimension that reads back as exactly the same value; there
// is always one, because the base unit with 17 digits is.
//
//===----------------------------------------------------------------------===//

#include "headrace/Dialect/HW/HW.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::hw;

#include "headrace/Dialect/HW/HWDialect.cpp.inc"
#include "headrace/Dialect/HW/HWEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "headrace/Dialect/HW/HWAttrs.cpp.inc"

void HWDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "headrace/Dialect/HW/HWAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "headrace/Dialect/HW/HWOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Units
//===----------------------------------------------------------------------===//

namespace {
struct Unit {
  StringLiteral name;
  Dimension dimension;
  double factor;
};
} // namespace

/// Per dimension from the smallest unit to the largest.
static constexpr Unit units[] = {
    {"B", Dimension::Bytes, 1},
    {"KB", Dimension::Bytes, 1e3},
    {"KiB", Dimension::Bytes, 1024},
    {"MB", Dimension::Bytes, 1e6},
    {"MiB", Dimension::Bytes, 1048576},
    {"GB", Dimension::Bytes, 1e9},
    {"GiB", Dimension::Bytes, 1073741824},
    {"TB", Dimension::Bytes, 1e12},
    {"TiB", Dimension::Bytes, 1099511627776},
    {"B/s", Dimension::BytesPerSecond, 1},
    {"KB/s", Dimension::BytesPerSecond, 1e3},
    {"MB/s", Dimension::BytesPerSecond, 1e6},
    {"GB/s", Dimension::BytesPerSecond, 1e9},
    {"TB/s", Dimension::BytesPerSecond, 1e12},
    {"ps", Dimension::Seconds, 1e-12},
    {"ns", Dimension::Seconds, 1e-9},
    {"us", Dimension::Seconds, 1e-6},
    {"ms", Dimension::Seconds, 1e-3},
    {"s", Dimension::Seconds, 1},
    {"Hz", Dimension::Hertz, 1},
    {"kHz", Dimension::Hertz, 1e3},
    {"MHz", Dimension::Hertz, 1e6},
    {"GHz", Dimension::Hertz, 1e9},
    {"cycles", Dimension::Cycles, 1},
    {"pJ", Dimension::Joules, 1e-12},
    {"nJ", Dimension::Joules, 1e-9},
    {"J", Dimension::Joules, 1},
    {"pJ/B", Dimension::JoulesPerByte, 1e-12},
    {"nJ/B", Dimension::JoulesPerByte, 1e-9},
    {"J/B", Dimension::JoulesPerByte, 1},
    {"mW", Dimension::Watts, 1e-3},
    {"W", Dimension::Watts, 1},
    {"kW", Dimension::Watts, 1e3},
    {"USD/h", Dimension::DollarsPerHour, 1},
};

static const Unit *findUnit(StringRef name) {
  for (const Unit &unit : units)
    if (unit.name == name)
      return &unit;
  return nullptr;
}

/// A number that MLIR's lexer reads as one token: digits, and where there is
/// an exponent or a fraction, a point before it.
static std::string formatNumber(double value, int digits) {
  std::string text;
  if (value == std::rint(value) && std::abs(value) < 1e9) {
    llvm::raw_string_ostream(text) << int64_t(value);
    return text;
  }
  llvm::raw_string_ostream(text) << llvm::format("%.*g", digits, value);
  size_t exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos)
    text.insert(exponent, ".0");
  return text;
}

/// The shortest text of `value` in `factor`s that reads back exactly.
static std::optional<std::string> formatExactly(double value, double factor) {
  for (int digits = 1; digits <= 17; ++digits) {
    std::string text = formatNumber(value / factor, digits);
    if (std::strtod(text.c_str(), nullptr) * factor == value)
      return text;
  }
  return std::nullopt;
}

std::string FigureAttr::str() const {
  double value = getValue();
  std::string best, bestUnit;
  auto consider = [&](std::optional<std::string> text, StringRef unit) {
    if (!text || (!best.empty() && text->size() > best.size()))
      return;
    best = *text;
    bestUnit = unit;
  };
  if (getDimension() == Dimension::Ratio) {
    double inverse = std::round(1 / value);
    if (value < 1 && 1 / inverse == value)
      consider("1/" + formatNumber(inverse, 17), "");
    consider(formatExactly(value, 1), "");
  }
  // Later units win ties, so 1500 GB/s prints as 1.5 TB/s, but not with a
  // leading zero.
  for (const Unit &unit : units)
    if (unit.dimension == getDimension() &&
        (best.empty() || std::abs(value) >= unit.factor))
      consider(formatExactly(value, unit.factor), unit.name);
  if (!bestUnit.empty())
    best += " " + bestUnit;
  return best + " " + stringifySource(getSource()).str();
}

FigureAttr FigureAttr::get(MLIRContext *context, double value,
                           Dimension dimension, Source source) {
  Builder builder(context);
  return Base::get(context, builder.getF64FloatAttr(value), dimension, source);
}

/// `number [/ number] [unit] source`, without brackets.
static FailureOr<FigureAttr> parseFigure(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  auto parseNumber = [&](double &value) -> ParseResult {
    bool negative = succeeded(parser.parseOptionalMinus());
    APInt integer;
    OptionalParseResult result = parser.parseOptionalInteger(integer);
    if (result.has_value()) {
      if (failed(*result))
        return failure();
      value = integer.roundToDouble(/*isSigned=*/true);
    } else if (parser.parseFloat(value)) {
      return failure();
    }
    if (negative)
      value = -value;
    return success();
  };
  double value = 0, divisor = 1;
  if (parseNumber(value))
    return failure();
  if (succeeded(parser.parseOptionalSlash()) && parseNumber(divisor))
    return failure();
  if (divisor == 0)
    return parser.emitError(loc, "expected a divisor other than 0");

  StringRef word;
  SMLoc wordLoc = parser.getCurrentLocation();
  if (failed(parser.parseOptionalKeyword(&word)))
    return parser.emitError(wordLoc, "expected a unit, or 'measured', "
                                     "'documented' or 'assumed', after the "
                                     "number");
  Dimension dimension = Dimension::Ratio;
  double factor = 1;
  if (!symbolizeSource(word)) {
    std::string name = word.str();
    if (succeeded(parser.parseOptionalSlash())) {
      StringRef per;
      if (parser.parseKeyword(&per))
        return failure();
      name += "/" + per.str();
    }
    const Unit *unit = findUnit(name);
    if (!unit)
      return parser.emitError(wordLoc) << "unknown unit '" << name << "'";
    dimension = unit->dimension;
    factor = unit->factor;
    wordLoc = parser.getCurrentLocation();
    if (failed(parser.parseOptionalKeyword(&word)) || !symbolizeSource(word))
      return parser.emitError(wordLoc, "expected 'measured', 'documented' or "
                                       "'assumed' after the figure");
  }
  return FigureAttr::get(parser.getContext(), value / divisor * factor,
                         dimension, *symbolizeSource(word));
}

Attribute FigureAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  FailureOr<FigureAttr> figure = parseFigure(parser);
  if (failed(figure) || parser.parseGreater())
    return {};
  return *figure;
}

void FigureAttr::print(AsmPrinter &printer) const {
  printer << '<' << str() << '>';
}

//===----------------------------------------------------------------------===//
// Registers and scales
//===----------------------------------------------------------------------===//

static FailureOr<RegistersAttr> parseRegisters(AsmParser &parser) {
  int64_t count, bits;
  if (parser.parseInteger(count) || parser.parseKeyword("x") ||
      parser.parseInteger(bits) || parser.parseKeyword("bit"))
    return failure();
  return RegistersAttr::get(parser.getContext(), count, bits);
}

static void printRegisters(AsmPrinter &printer, RegistersAttr attr) {
  printer << attr.getCount() << " x " << attr.getBits() << " bit";
}

Attribute RegistersAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  FailureOr<RegistersAttr> attr = parseRegisters(parser);
  if (failed(attr) || parser.parseGreater())
    return {};
  return *attr;
}

void RegistersAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printRegisters(printer, *this);
  printer << '>';
}

static FailureOr<ScaleAttr> parseScale(AsmParser &parser) {
  Type type;
  int64_t block;
  if (parser.parseType(type) || parser.parseKeyword("per") ||
      parser.parseInteger(block))
    return failure();
  return ScaleAttr::get(parser.getContext(), type, block);
}

static void printScale(AsmPrinter &printer, ScaleAttr attr) {
  printer << attr.getType() << " per " << attr.getBlock();
}

Attribute ScaleAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  FailureOr<ScaleAttr> attr = parseScale(parser);
  if (failed(attr) || parser.parseGreater())
    return {};
  return *attr;
}

void ScaleAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printScale(printer, *this);
  printer << '>';
}

//===----------------------------------------------------------------------===//
// Values of fields, for HWOps.cpp
//===----------------------------------------------------------------------===//

/// Parses the value of a field whose attribute is a figure, registers or a
/// scale, in the form without brackets.
FailureOr<Attribute> hw::detail::parseBareFigure(AsmParser &parser) {
  FailureOr<FigureAttr> figure = parseFigure(parser);
  if (failed(figure))
    return failure();
  return Attribute(*figure);
}

FailureOr<Attribute> hw::detail::parseBareRegisters(AsmParser &parser) {
  FailureOr<RegistersAttr> registers = parseRegisters(parser);
  if (failed(registers))
    return failure();
  return Attribute(*registers);
}

FailureOr<Attribute> hw::detail::parseBareScale(AsmParser &parser) {
  FailureOr<ScaleAttr> scale = parseScale(parser);
  if (failed(scale))
    return failure();
  return Attribute(*scale);
}

void hw::detail::printBare(AsmPrinter &printer, Attribute attr) {
  if (auto figure = dyn_cast<FigureAttr>(attr))
    printer << figure.str();
  else if (auto registers = dyn_cast<RegistersAttr>(attr))
    printRegisters(printer, registers);
  else
    printScale(printer, cast<ScaleAttr>(attr));
}
