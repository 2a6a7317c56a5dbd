//===- ImageEntry.cpp - What an entry takes and gives ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Read from the attributes of the entry's function: the inputs and outputs and
// their element types, the sizes and what has to hold of them, the checks of
// indices.
//
//===----------------------------------------------------------------------===//
#include "Image.h"
#include "ImageElements.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Runtime/headrace.h"

using namespace mlir;
using namespace headrace;

SymbolRanges ImageEntry::getRanges() const {
  SymbolRanges ranges;
  for (const ImageSymbol &symbol : symbols)
    ranges[symbol.name] = symbol.range;
  return ranges;
}

int64_t ImageEntry::findSymbol(StringRef name) const {
  for (auto [i, symbol] : llvm::enumerate(symbols))
    if (symbol.name == name)
      return static_cast<int64_t>(i);
  return -1;
}

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

std::optional<ElementInfo> headrace::getElementInfo(const ImagePort &port) {
  Type type = port.elementType;
  if (type.isF32())
    return ElementInfo{kDLFloat, "float32", "float"};
  if (type.isF64())
    return ElementInfo{kDLFloat, "float64", "double"};
  if (type.isF16())
    return ElementInfo{kDLFloat, "float16", "uint16_t"};
  if (type.isBF16())
    return ElementInfo{kDLBfloat, "bfloat16", "uint16_t"};
  if (type.isInteger(1))
    return ElementInfo{kDLBool, "bool", "uint8_t"};
  if (type.isInteger(8))
    return port.isUnsigned ? ElementInfo{kDLUInt, "uint8", "uint8_t"}
                           : ElementInfo{kDLInt, "int8", "int8_t"};
  if (type.isInteger(16))
    return port.isUnsigned ? ElementInfo{kDLUInt, "uint16", "uint16_t"}
                           : ElementInfo{kDLInt, "int16", "int16_t"};
  if (type.isInteger(32))
    return port.isUnsigned ? ElementInfo{kDLUInt, "uint32", "uint32_t"}
                           : ElementInfo{kDLInt, "int32", "int32_t"};
  if (type.isInteger(64))
    return port.isUnsigned ? ElementInfo{kDLUInt, "uint64", "uint64_t"}
                           : ElementInfo{kDLInt, "int64", "int64_t"};
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

/// Reads the attributes of argument or result `index`.
static FailureOr<ImagePort> readPort(func::FuncOp function, bool isInput,
                                     unsigned index) {
  DictionaryAttr attributes = isInput ? function.getArgAttrDict(index)
                                      : function.getResultAttrDict(index);
  Type type = isInput ? function.getFunctionType().getInput(index)
                      : function.getFunctionType().getResult(index);
  const char *kind = isInput ? "input" : "output";
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return function.emitError()
           << "expected " << kind << " " << index << " of entry '"
           << function.getName() << "' to be a tensor but got " << type;
  ImagePort port;
  port.elementType = tensor.getElementType();
  if (auto name = attributes ? attributes.getAs<StringAttr>("hr.name")
                             : StringAttr())
    port.name = name.getValue().str();
  else
    port.name = (Twine(kind) + Twine(index)).str();
  port.isUnsigned = attributes && attributes.contains("hr.unsigned");
  if (auto mutates = attributes ? attributes.getAs<IntegerAttr>("hr.mutates")
                                : IntegerAttr())
    port.mutates = mutates.getInt();
  auto dims =
      attributes ? attributes.getAs<ArrayAttr>("hr.dims") : ArrayAttr();
  if (dims && dims.size() != static_cast<size_t>(tensor.getRank()))
    return function.emitError()
           << "expected " << tensor.getRank() << " dims of " << kind << " '"
           << port.name << "' but got " << dims.size();
  for (int64_t d = 0; d < tensor.getRank(); ++d) {
    if (dims) {
      port.dims.push_back(cast<hr::SizeAttr>(dims[d]).getExpr());
    } else if (tensor.isDynamicDim(d)) {
      return function.emitError()
             << "no 'hr.dims' on " << kind << " '" << port.name << "'";
    } else {
      port.dims.push_back(SizeExpr(tensor.getDimSize(d)));
    }
  }
  if (!getElementInfo(port))
    return function.emitError() << kind << " '" << port.name
                                << "': no way to pass elements of type "
                                << port.elementType;
  return port;
}

/// Finds the input dimension that tells a symbol: the first that is linear in
/// it and in nothing else; of those, a plain symbol first.
static bool findBinding(const ImageEntry &entry, ImageSymbol &symbol) {
  auto valueAt = [&](const SizeExpr &expr,
                     int64_t value) -> std::optional<int64_t> {
    SymbolBindings bindings;
    bindings[symbol.name] = value;
    return expr.evaluate(bindings);
  };
  for (bool plain : {true, false}) {
    for (auto [i, port] : llvm::enumerate(entry.inputs)) {
      for (auto [d, dim] : llvm::enumerate(port.dims)) {
        if (plain != (dim.getSymbol() == StringRef(symbol.name)))
          continue;
        std::optional<int64_t> zero = valueAt(dim, 0), one = valueAt(dim, 1);
        if (!zero || !one || *one == *zero)
          continue;
        int64_t scale = *one - *zero;
        if (dim != SizeExpr::symbol(symbol.name) * SizeExpr(scale) +
                       SizeExpr(*zero))
          continue;
        symbol.input = static_cast<int64_t>(i);
        symbol.dim = static_cast<int64_t>(d);
        symbol.scale = scale;
        symbol.offset = *zero;
        return true;
      }
    }
  }
  return false;
}

/// Reads what has to hold of sizes, and what sizes are called in messages.
static LogicalResult readRequirements(func::FuncOp function,
                                      ImageEntry &entry) {
  hr::SizeNames names(function);
  // What other dimensions are by themselves says most: that this one is as
  // large as itself would tell nobody what is expected.
  auto isPlain = [&](StringRef name) {
    return llvm::any_of(entry.symbols, [&](const ImageSymbol &symbol) {
      return symbol.name == name && symbol.scale == 1 && symbol.offset == 0;
    });
  };
  for (std::vector<ImagePort> *ports : {&entry.inputs, &entry.outputs})
    for (ImagePort &port : *ports)
      for (const SizeExpr &dim : port.dims) {
        bool allPlain = ports == &entry.inputs;
        dim.walkSymbols([&](StringRef name) { allPlain &= isPlain(name); });
        port.dimTexts.push_back(names.str(
            !allPlain ? dim : dim.substitute([&](StringRef name) {
              return std::optional(SizeExpr::symbol(
                  names.str(SizeExpr::symbol(name))));
            })));
      }
  for (ImageSymbol &symbol : entry.symbols)
    if (auto given = function.getArgAttrOfType<ArrayAttr>(symbol.input,
                                                          "hr.dim_names");
        given && symbol.dim < static_cast<int64_t>(given.size()))
      symbol.userName = cast<StringAttr>(given[symbol.dim]).getValue().str();
  auto required = function->getAttrOfType<ArrayAttr>("hr.requires");
  if (!required)
    return success();
  for (auto requirement : required.getAsRange<hr::RequirementAttr>()) {
    ImageRequirement &own = entry.requirements.emplace_back();
    own.condition = requirement.getExpr();
    own.text = requirement.getText().str();
    own.where = requirement.getWhere().str();
    bool isKnown = true;
    own.condition.walkSymbols(
        [&](StringRef name) { isKnown &= entry.findSymbol(name) >= 0; });
    if (!isKnown)
      return function.emitError() << "requirement '" << own.text
                                  << "' uses a size that entry '" << entry.name
                                  << "' does not have";
  }
  return success();
}

std::optional<ImageSite> headrace::readSite(Attribute attr) {
  auto site = dyn_cast_or_null<ArrayAttr>(attr);
  if (!site || site.size() != 4)
    return std::nullopt;
  auto what = dyn_cast<StringAttr>(site[0]);
  auto where = dyn_cast<StringAttr>(site[1]);
  auto message = dyn_cast<StringAttr>(site[2]);
  auto ranged = dyn_cast<BoolAttr>(site[3]);
  if (!what || !where || !message || !ranged)
    return std::nullopt;
  return ImageSite{what.getValue().str(), where.getValue().str(),
                   message.getValue().str(), ranged.getValue()};
}

/// An element of `hr.checks`; nothing if it is none of an entry with such
/// inputs.
static std::optional<ImageCheck> readCheck(Attribute attr,
                                           ArrayRef<ImagePort> inputs) {
  auto fields = dyn_cast<DictionaryAttr>(attr);
  if (!fields)
    return std::nullopt;
  auto input = fields.getAs<IntegerAttr>("input");
  auto bound = fields.getAs<hr::SizeAttr>("bound");
  auto wrap = fields.getAs<BoolAttr>("wrap");
  auto covers = fields.getAs<ArrayAttr>("covers");
  std::optional<ImageSite> site = readSite(fields.get("site"));
  if (!input || !bound || !wrap || !covers || !site ||
      input.getValue().uge(inputs.size()))
    return std::nullopt;
  Type type = inputs[input.getInt()].elementType;
  if (!type.isInteger(32) && !type.isInteger(64))
    return std::nullopt;
  ImageCheck check;
  check.input = input.getInt();
  check.bound = bound.getExpr();
  check.wrap = wrap.getValue();
  check.site = *site;
  for (Attribute covered : covers) {
    if (std::optional<ImageSite> other = readSite(covered))
      check.covers.push_back(*other);
    else
      return std::nullopt;
  }
  return check;
}

FailureOr<ImageEntry> headrace::readEntry(func::FuncOp function) {
  ImageEntry entry;
  entry.name = function.getName().str();
  FunctionType type = function.getFunctionType();
  for (unsigned i = 0; i < type.getNumInputs(); ++i) {
    FailureOr<ImagePort> port = readPort(function, true, i);
    if (failed(port))
      return failure();
    entry.inputs.push_back(*port);
  }
  for (unsigned i = 0; i < type.getNumResults(); ++i) {
    FailureOr<ImagePort> port = readPort(function, false, i);
    if (failed(port))
      return failure();
    entry.outputs.push_back(*port);
  }
  if (auto symbols = function->getAttrOfType<ArrayAttr>("hr.symbols")) {
    for (auto attribute : symbols.getAsRange<hr::SymbolAttr>()) {
      ImageSymbol symbol;
      symbol.name = attribute.getName().str();
      symbol.range = {attribute.getLeast(), attribute.getLargest()};
      if (!findBinding(entry, symbol))
        return function.emitError()
               << "no input of entry '" << entry.name << "' tells the size '"
               << symbol.name << "'";
      entry.symbols.push_back(symbol);
    }
  }
  if (failed(readRequirements(function, entry)))
    return failure();
  if (auto checks = function->getAttrOfType<ArrayAttr>("hr.checks"))
    for (Attribute attribute : checks) {
      std::optional<ImageCheck> check = readCheck(attribute, entry.inputs);
      if (!check)
        return function.emitError()
               << "entry '" << entry.name << "' has no check " << attribute;
      entry.checks.push_back(std::move(*check));
    }
  auto module = function->getParentOfType<ModuleOp>();
  auto getSpec = [&](StringRef kind) -> std::string {
    auto spec = module->getAttrOfType<StringAttr>(
        ("hr." + kind + "." + entry.name).str());
    return spec ? spec.getValue().str() : "";
  };
  entry.inSpec = getSpec("in_spec");
  entry.outSpec = getSpec("out_spec");
  entry.inLeaves = function->getAttrOfType<ArrayAttr>("hr.in_leaves");
  entry.outLeaves = function->getAttrOfType<ArrayAttr>("hr.out_leaves");
  return entry;
}
