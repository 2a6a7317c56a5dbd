//===- SchedSyntax.cpp - The sched dialect: printed form ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Schedules are read by people: expressions are written without quotes, names
// of stages, arenas and families with `@`, buffers as operands of calls.
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Dialect/Sched/Sched.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::sched;

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

/// How deeply parentheses may nest; the text may come from anywhere.
static constexpr unsigned maxDepth = 64;

/// Collects the tokens of an expression; SizeExpr::parse gives them meaning.
static ParseResult parseExprText(OpAsmParser &parser, std::string &text,
                                 unsigned depth) {
  if (depth > maxDepth)
    return parser.emitError(parser.getCurrentLocation())
           << "expression nests more than " << maxDepth << " deep";
  for (;;) {
    while (succeeded(parser.parseOptionalMinus()))
      text += "-";
    int64_t number;
    StringRef name;
    OptionalParseResult integer = parser.parseOptionalInteger(number);
    if (integer.has_value()) {
      if (failed(*integer))
        return failure();
      text += std::to_string(number);
    } else if (succeeded(parser.parseOptionalLParen())) {
      text += "(";
      if (parseExprText(parser, text, depth + 1) || parser.parseRParen())
        return failure();
      text += ")";
    } else if (succeeded(parser.parseOptionalKeyword(&name))) {
      text += name;
      if (name == "min" || name == "max") {
        text += "(";
        if (parser.parseLParen() || parseExprText(parser, text, depth + 1) ||
            parser.parseComma())
          return failure();
        text += ", ";
        if (parseExprText(parser, text, depth + 1) || parser.parseRParen())
          return failure();
        text += ")";
      }
    } else {
      return parser.emitError(parser.getCurrentLocation())
             << "expected a number, a symbol or '('";
    }

    if (succeeded(parser.parseOptionalPlus()))
      text += " + ";
    else if (succeeded(parser.parseOptionalMinus()))
      text += " - ";
    else if (succeeded(parser.parseOptionalStar()))
      text += " * ";
    else if (succeeded(parser.parseOptionalKeyword("floordiv")))
      text += " floordiv ";
    else if (succeeded(parser.parseOptionalKeyword("ceildiv")))
      text += " ceildiv ";
    else if (succeeded(parser.parseOptionalKeyword("mod")))
      text += " mod ";
    else
      return success();
  }
}

static ParseResult parseExpr(OpAsmParser &parser, hr::SizeAttr &result) {
  SMLoc loc = parser.getCurrentLocation();
  std::string text, error;
  if (parseExprText(parser, text, 0))
    return failure();
  FailureOr<SizeExpr> expr = SizeExpr::parse(text, &error);
  if (failed(expr))
    return parser.emitError(loc) << "invalid expression: " << error;
  result = hr::SizeAttr::get(parser.getContext(), *expr);
  return success();
}

static void printExpr(OpAsmPrinter &p, hr::SizeAttr expr) {
  p << expr.getText();
}

/// `[a, b, c]`
static ParseResult parseExprs(OpAsmParser &parser, ArrayAttr &result) {
  SmallVector<Attribute> exprs;
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
        hr::SizeAttr expr;
        if (parseExpr(parser, expr))
          return failure();
        exprs.push_back(expr);
        return success();
      }))
    return failure();
  result = parser.getBuilder().getArrayAttr(exprs);
  return success();
}

static void printExprs(OpAsmPrinter &p, ArrayAttr exprs) {
  p << "[";
  llvm::interleaveComma(exprs.getAsRange<hr::SizeAttr>(), p,
                        [&](hr::SizeAttr expr) { printExpr(p, expr); });
  p << "]";
}

/// `[from, to)`
static ParseResult parseRange(OpAsmParser &parser, hr::SizeAttr &from,
                              hr::SizeAttr &to) {
  return failure(parser.parseLSquare() || parseExpr(parser, from) ||
                 parser.parseComma() || parseExpr(parser, to) ||
                 parser.parseRParen());
}

static hr::SizeAttr zero(OpAsmParser &parser) {
  return hr::SizeAttr::get(parser.getContext(), SizeExpr(0));
}

static bool isZero(hr::SizeAttr expr) { return expr.getText() == "0"; }

static ParseResult parseNumber(OpAsmParser &parser, IntegerAttr &result) {
  int64_t value;
  if (parser.parseInteger(value))
    return failure();
  result = parser.getBuilder().getI64IntegerAttr(value);
  return success();
}

/// An optional number after a keyword.
static ParseResult parseNumberAfter(OpAsmParser &parser, StringRef keyword,
                                    OperationState &result, StringAttr name) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  IntegerAttr value;
  if (parseNumber(parser, value))
    return failure();
  result.addAttribute(name, value);
  return success();
}

/// An optional expression after a keyword.
static ParseResult parseExprAfter(OpAsmParser &parser, StringRef keyword,
                                  OperationState &result, StringAttr name) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  hr::SizeAttr value;
  if (parseExpr(parser, value))
    return failure();
  result.addAttribute(name, value);
  return success();
}

/// An optional string after a keyword.
static ParseResult parseStringAfter(OpAsmParser &parser, StringRef keyword,
                                    OperationState &result, StringAttr name) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  StringAttr value;
  if (parser.parseAttribute(value))
    return failure();
  result.addAttribute(name, value);
  return success();
}

//===----------------------------------------------------------------------===//
// Program, arena, buffer, stage
//===----------------------------------------------------------------------===//

ParseResult ProgramOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name, entry;
  IntegerAttr workers;
  if (parser.parseSymbolName(name) || parser.parseKeyword("of") ||
      parser.parseSymbolName(entry) || parser.parseKeyword("workers") ||
      parseNumber(parser, workers))
    return failure();
  result.addAttribute(getSymNameAttrName(result.name), name);
  result.addAttribute(getEntryAttrName(result.name),
                      FlatSymbolRefAttr::get(entry));
  result.addAttribute(getWorkersAttrName(result.name), workers);
  if (succeeded(parser.parseOptionalKeyword("symbols"))) {
    ArrayAttr symbols;
    if (parser.parseAttribute(symbols))
      return failure();
    result.addAttribute(getSymbolsAttrName(result.name), symbols);
  }
  if (parseNumberAfter(parser, "scratch", result,
                       getScratchBytesAttrName(result.name)))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("in"))) {
    StringAttr memory;
    if (parser.parseSymbolName(memory))
      return failure();
    result.addAttribute(getScratchMemoryAttrName(result.name), memory);
  }
  if (succeeded(parser.parseOptionalKeyword("fences"))) {
    DictionaryAttr fences;
    if (parser.parseAttribute(fences))
      return failure();
    result.addAttribute(getFencesAttrName(result.name), fences);
  }
  if (parseExprAfter(parser, "work", result, getWorkAttrName(result.name)) ||
      parseNumberAfter(parser, "from", result,
                       getFromWorkAttrName(result.name)))
    return failure();
  Region *body = result.addRegion();
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*body))
    return failure();
  if (body->empty())
    body->emplaceBlock();
  return success();
}

void ProgramOp::print(OpAsmPrinter &p) {
  p << " ";
  p.printSymbolName(getSymName());
  p << " of ";
  p.printSymbolName(getEntry());
  p << " workers " << getWorkers();
  if (getSymbols())
    p << " symbols " << *getSymbols();
  if (getScratchBytes())
    p << " scratch " << getScratchBytes();
  if (getScratchMemory()) {
    p << " in ";
    p.printSymbolName(*getScratchMemory());
  }
  if (getFences())
    p << " fences " << *getFences();
  if (getWork())
    p << " work " << getWork()->getExpr().str();
  if (getFromWork())
    p << " from " << *getFromWork();
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {getSymNameAttrName(), getEntryAttrName(), getWorkersAttrName(),
       getSymbolsAttrName(), getScratchBytesAttrName(),
       getScratchMemoryAttrName(), getFencesAttrName(), getWorkAttrName(), getFromWorkAttrName()});
  p << " ";
  p.printRegion(getBody());
}

ParseResult ArenaOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  if (parser.parseSymbolName(name))
    return failure();
  result.addAttribute(getNameAttrName(result.name), name);
  if (succeeded(parser.parseOptionalEqual())) {
    hr::SizeAttr bytes;
    if (parseExpr(parser, bytes))
      return failure();
    result.addAttribute(getBytesAttrName(result.name), bytes);
  }
  return failure(parseExprAfter(parser, "lower_bound", result,
                                getLowerBoundAttrName(result.name)) ||
                 parser.parseOptionalAttrDict(result.attributes));
}

void ArenaOp::print(OpAsmPrinter &p) {
  p << " ";
  p.printSymbolName(getName());
  if (hr::SizeAttr bytes = getBytesAttr()) {
    p << " = ";
    printExpr(p, bytes);
  }
  if (hr::SizeAttr bound = getLowerBoundAttr()) {
    p << " lower_bound ";
    printExpr(p, bound);
  }
  p.printOptionalAttrDict(
      (*this)->getAttrs(),
      {getNameAttrName(), getBytesAttrName(), getLowerBoundAttrName()});
}

ParseResult BufferOp::parse(OpAsmParser &parser, OperationState &result) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<hr::BufferKind> kind = hr::symbolizeBufferKind(keyword);
  if (!kind)
    return parser.emitError(loc) << "expected input, output, temp, const or "
                                    "state but got '"
                                 << keyword << "'";
  MLIRContext *context = parser.getContext();
  result.addAttribute(getKindAttrName(result.name),
                      hr::BufferKindAttr::get(context, *kind));
  switch (*kind) {
  case hr::BufferKind::Input:
  case hr::BufferKind::Output: {
    IntegerAttr number;
    if (parseNumber(parser, number))
      return failure();
    result.addAttribute(getNumberAttrName(result.name), number);
    break;
  }
  case hr::BufferKind::Const:
  case hr::BufferKind::State: {
    ArrayAttr symbols;
    if (parser.parseAttribute(symbols))
      return failure();
    result.addAttribute(getSymbolsAttrName(result.name), symbols);
    if (symbols.size() != 1)
      result.addAttribute(
          getSlotsAttrName(result.name),
          parser.getBuilder().getI64IntegerAttr(symbols.size()));
    break;
  }
  case hr::BufferKind::Temp:
    if (parseNumberAfter(parser, "slots", result,
                         getSlotsAttrName(result.name)))
      return failure();
    break;
  }
  ArrayAttr dims;
  Type elementType;
  if (parseExprs(parser, dims) || parser.parseType(elementType) ||
      parseNumberAfter(parser, "align", result,
                       getAlignAttrName(result.name)))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("read_back")))
    result.addAttribute(getReadBackAttrName(result.name),
                        parser.getBuilder().getUnitAttr());
  result.addAttribute(getDimsAttrName(result.name), dims);
  if (succeeded(parser.parseOptionalKeyword("at"))) {
    StringAttr arena;
    if (parser.parseSymbolName(arena))
      return failure();
    result.addAttribute(getArenaAttrName(result.name), arena);
    if (succeeded(parser.parseOptionalPlus())) {
      hr::SizeAttr offset;
      if (parseExpr(parser, offset))
        return failure();
      result.addAttribute(getOffsetAttrName(result.name), offset);
    }
    if (parseExprAfter(parser, "stride", result,
                       getStrideAttrName(result.name)))
      return failure();
  }
  if (parser.parseOptionalAttrDict(result.attributes))
    return failure();
  result.addAttribute(getElementTypeAttrName(result.name),
                      TypeAttr::get(elementType));
  result.addTypes(BufferType::get(context));
  return success();
}

void BufferOp::print(OpAsmPrinter &p) {
  p << " " << hr::stringifyBufferKind(getKind()) << " ";
  if (getNumber())
    p << *getNumber() << " ";
  if (getSymbols())
    p << *getSymbols() << " ";
  if (getKind() == hr::BufferKind::Temp && getSlots() != 1)
    p << "slots " << getSlots() << " ";
  printExprs(p, getDims());
  p << " " << getElementType();
  if (getAlign() != 64)
    p << " align " << getAlign();
  if (getReadBack())
    p << " read_back";
  if (getArena()) {
    p << " at ";
    p.printSymbolName(*getArena());
    if (hr::SizeAttr offset = getOffsetAttr()) {
      p << " + ";
      printExpr(p, offset);
    }
    if (hr::SizeAttr stride = getStrideAttr()) {
      p << " stride ";
      printExpr(p, stride);
    }
  }
  p.printOptionalAttrDict((*this)->getAttrs(),
                          {getKindAttrName(), getNumberAttrName(),
                           getSymbolsAttrName(), getSlotsAttrName(),
                           getDimsAttrName(), getElementTypeAttrName(),
                           getAlignAttrName(), getArenaAttrName(), getOffsetAttrName(),
                           getStrideAttrName(), getReadBackAttrName()});
}

ParseResult StageOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  MLIRContext *context = parser.getContext();
  StringAttr name, function;
  if (parser.parseSymbolName(name))
    return failure();
  function = name;
  if (succeeded(parser.parseOptionalKeyword("function")) &&
      parser.parseSymbolName(function))
    return failure();
  ArrayAttr grid;
  if (parser.parseKeyword("grid") || parseExprs(parser, grid) ||
      parser.parseKeyword("operands"))
    return failure();
  SmallVector<Attribute> access, footprints;
  if (parser.parseCommaSeparatedList(
          AsmParser::Delimiter::Square, [&]() -> ParseResult {
        SMLoc loc = parser.getCurrentLocation();
        StringRef keyword;
        if (parser.parseKeyword(&keyword))
          return failure();
        std::optional<hr::Access> kind = hr::symbolizeAccess(keyword);
        if (!kind)
          return parser.emitError(loc)
                 << "expected read, write or readwrite but got '" << keyword
                 << "'";
        access.push_back(hr::AccessAttr::get(context, *kind));
        AffineMap origin = AffineMap::get(grid.size(), 0, context);
        ArrayAttr extent = builder.getArrayAttr({});
        if (failed(parser.parseOptionalKeyword("whole")) &&
            (parser.parseAffineMap(origin) || parser.parseKeyword("by") ||
             parseExprs(parser, extent)))
          return failure();
        hr::SizeAttr touched;
        if (succeeded(parser.parseOptionalKeyword("touching")) &&
            parseExpr(parser, touched))
          return failure();
        footprints.push_back(
            hr::FootprintAttr::get(context, origin, extent, touched));
        return success();
      }))
    return failure();
  ArrayAttr symbols = builder.getArrayAttr({});
  if (succeeded(parser.parseOptionalKeyword("symbols")) &&
      parser.parseAttribute(symbols))
    return failure();
  result.addAttribute(getNameAttrName(result.name), name);
  result.addAttribute(getFunctionAttrName(result.name),
                      FlatSymbolRefAttr::get(function));
  result.addAttribute(getGridAttrName(result.name), grid);
  result.addAttribute(getAccessAttrName(result.name),
                      builder.getArrayAttr(access));
  result.addAttribute(getFootprintsAttrName(result.name),
                      builder.getArrayAttr(footprints));
  result.addAttribute(getSymbolsAttrName(result.name), symbols);
  if (parseNumberAfter(parser, "scratch", result,
                       getScratchBytesAttrName(result.name)))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("stores"))) {
    SMLoc loc = parser.getCurrentLocation();
    StringRef keyword;
    if (parser.parseKeyword(&keyword))
      return failure();
    std::optional<StoreClass> stores = symbolizeStoreClass(keyword);
    if (!stores)
      return parser.emitError(loc) << "expected normal, non_temporal or async "
                                      "but got '"
                                   << keyword << "'";
    result.addAttribute(getStoresAttrName(result.name),
                        StoreClassAttr::get(context, *stores));
  }
  if (parseExprAfter(parser, "flops", result, getFlopsAttrName(result.name)) ||
      parseExprAfter(parser, "compute", result,
                     getComputeAttrName(result.name)))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("keeps"))) {
    Attribute keeps = DenseI64ArrayAttr::parse(parser, Type());
    if (!keeps)
      return failure();
    result.addAttribute(getKeepsAttrName(result.name), keeps);
  }
  return parser.parseOptionalAttrDict(result.attributes);
}

void StageOp::print(OpAsmPrinter &p) {
  p << " ";
  p.printSymbolName(getName());
  if (getFunction() != getName()) {
    p << " function ";
    p.printSymbolName(getFunction());
  }
  p << " grid ";
  printExprs(p, getGrid());
  p << " operands [";
  llvm::interleaveComma(
      llvm::zip(getAccess().getAsRange<hr::AccessAttr>(),
                getFootprints().getAsRange<hr::FootprintAttr>()),
      p, [&](auto operand) {
        auto [access, footprint] = operand;
        p << hr::stringifyAccess(access.getValue()) << " ";
        if (footprint.isWhole()) {
          p << "whole";
        } else {
          footprint.getOrigin().print(p.getStream());
          p << " by ";
          printExprs(p, footprint.getExtent());
        }
        if (hr::SizeAttr touched = footprint.getTouched()) {
          p << " touching ";
          printExpr(p, touched);
        }
      });
  p << "]";
  if (!getSymbols().empty())
    p << " symbols " << getSymbols();
  if (getScratchBytes())
    p << " scratch " << getScratchBytes();
  if (getStores() != StoreClass::Normal)
    p << " stores " << stringifyStoreClass(getStores());
  if (hr::SizeAttr flops = getFlopsAttr()) {
    p << " flops ";
    printExpr(p, flops);
  }
  if (hr::SizeAttr compute = getComputeAttr()) {
    p << " compute ";
    printExpr(p, compute);
  }
  if (DenseI64ArrayAttr keeps = getKeepsAttr()) {
    p << " keeps ";
    keeps.print(p);
  }
  p.printOptionalAttrDict(
      (*this)->getAttrs(),
      {getNameAttrName(), getFunctionAttrName(), getGridAttrName(),
       getAccessAttrName(), getFootprintsAttrName(), getSymbolsAttrName(),
       getScratchBytesAttrName(), getStoresAttrName(), getFlopsAttrName(),
       getComputeAttrName(), getKeepsAttrName()});
}

//===----------------------------------------------------------------------===//
// Timelines and commands
//===----------------------------------------------------------------------===//

ParseResult TimelineOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  StringAttr name;
  StringRef index;
  IntegerAttr count;
  if (parser.parseSymbolName(name) || parser.parseLSquare() ||
      parser.parseKeyword(&index) || parser.parseColon() ||
      parseNumber(parser, count) || parser.parseRSquare())
    return failure();
  result.addAttribute(getNameAttrName(result.name), name);
  result.addAttribute(getIndexAttrName(result.name),
                      builder.getStringAttr(index));
  result.addAttribute(getCountAttrName(result.name), count);
  if (succeeded(parser.parseOptionalKeyword("mover")))
    result.addAttribute(
        getKindAttrName(result.name),
        TimelineKindAttr::get(parser.getContext(), TimelineKind::Mover));
  Region *body = result.addRegion();
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*body))
    return failure();
  if (body->empty())
    body->emplaceBlock();
  return success();
}

void TimelineOp::print(OpAsmPrinter &p) {
  p << " ";
  p.printSymbolName(getName());
  p << "[" << getIndex() << " : " << getCount() << "]";
  if (getKind() == TimelineKind::Mover)
    p << " mover";
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {getNameAttrName(), getIndexAttrName(),
                            getCountAttrName(), getKindAttrName()});
  p << " ";
  p.printRegion(getBody());
}

/// `%buffer` or `%buffer[slot]`
static ParseResult
parseSlotted(OpAsmParser &parser,
             OpAsmParser::UnresolvedOperand &operand, hr::SizeAttr &slot) {
  slot = zero(parser);
  if (parser.parseOperand(operand))
    return failure();
  if (failed(parser.parseOptionalLSquare()))
    return success();
  return failure(parseExpr(parser, slot) || parser.parseRSquare());
}

static void printSlotted(OpAsmPrinter &p, Value buffer, hr::SizeAttr slot) {
  p << buffer;
  if (isZero(slot))
    return;
  p << "[";
  printExpr(p, slot);
  p << "]";
}

ParseResult RunOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr stage;
  hr::SizeAttr from, to;
  if (parser.parseSymbolName(stage) || parser.parseKeyword("tiles") ||
      parseRange(parser, from, to) || parser.parseLParen())
    return failure();
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  SmallVector<Attribute> slots;
  // The arrow stands for a comma; it is there for whoever reads.
  bool arrow = succeeded(parser.parseOptionalArrow());
  if (arrow || failed(parser.parseOptionalRParen())) {
    for (;;) {
      hr::SizeAttr slot;
      if (parseSlotted(parser, operands.emplace_back(), slot))
        return failure();
      slots.push_back(slot);
      if (succeeded(parser.parseOptionalComma()))
        continue;
      if (!arrow && succeeded(parser.parseOptionalArrow())) {
        arrow = true;
        continue;
      }
      if (parser.parseRParen())
        return failure();
      break;
    }
  }
  if (parseNumberAfter(parser, "parts", result,
                       getPartsAttrName(result.name)) ||
      parseStringAfter(parser, "fence", result,
                       getFenceAttrName(result.name)) ||
      parser.parseOptionalAttrDict(result.attributes))
    return failure();
  if (parser.resolveOperands(operands, BufferType::get(parser.getContext()),
                             result.operands))
    return failure();
  result.addAttribute(getStageAttrName(result.name), stage);
  result.addAttribute(getFromAttrName(result.name), from);
  result.addAttribute(getToAttrName(result.name), to);
  result.addAttribute(getSlotsAttrName(result.name),
                      parser.getBuilder().getArrayAttr(slots));
  return success();
}

void RunOp::print(OpAsmPrinter &p) {
  p << " ";
  p.printSymbolName(getStage());
  p << " tiles [";
  printExpr(p, getFromAttr());
  p << ", ";
  printExpr(p, getToAttr());
  p << ") (";
  // The arrow stands before the first operand that is written, if all that is
  // read stands before it.
  size_t arrow = ~size_t(0);
  if (StageOp stage = getStageOp()) {
    auto isRead = [](Attribute access) {
      return cast<hr::AccessAttr>(access).getValue() == hr::Access::Read;
    };
    auto first = llvm::find_if_not(stage.getAccess(), isRead);
    if (llvm::none_of(llvm::make_range(first, stage.getAccess().end()),
                      isRead))
      arrow = first - stage.getAccess().begin();
  }
  for (auto [k, buffer, slot] :
       llvm::enumerate(getBuffers(), getSlots().getAsRange<hr::SizeAttr>())) {
    if (k == arrow)
      p << (k ? " -> " : "-> ");
    else if (k)
      p << ", ";
    printSlotted(p, buffer, slot);
  }
  p << ")";
  if (getParts() != 1)
    p << " parts " << getParts();
  if (getFence())
    p << " fence " << getFenceAttr();
  p.printOptionalAttrDict((*this)->getAttrs(),
                          {getStageAttrName(), getFromAttrName(),
                           getToAttrName(), getSlotsAttrName(),
                           getPartsAttrName(), getFenceAttrName()});
}

ParseResult CopyOp::parse(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::UnresolvedOperand source, dest;
  hr::SizeAttr sourceSlot, destSlot;
  ArrayAttr sourceOrigin, destOrigin, extent;
  // An operand's slot and its origin are both in brackets: two of them.
  auto parseSide = [&](OpAsmParser::UnresolvedOperand &operand,
                       hr::SizeAttr &slot, ArrayAttr &origin) -> ParseResult {
    return failure(parseSlotted(parser, operand, slot) ||
                   parser.parseKeyword("from") || parseExprs(parser, origin));
  };
  if (parseSide(source, sourceSlot, sourceOrigin) || parser.parseArrow() ||
      parseSide(dest, destSlot, destOrigin) || parser.parseKeyword("extent") ||
      parseExprs(parser, extent) ||
      parseStringAfter(parser, "fence", result,
                       getFenceAttrName(result.name)) ||
      parser.parseOptionalAttrDict(result.attributes) ||
      parser.resolveOperands({source, dest},
                             BufferType::get(parser.getContext()),
                             result.operands))
    return failure();
  result.addAttribute(getSourceSlotAttrName(result.name), sourceSlot);
  result.addAttribute(getDestSlotAttrName(result.name), destSlot);
  result.addAttribute(getSourceOriginAttrName(result.name), sourceOrigin);
  result.addAttribute(getDestOriginAttrName(result.name), destOrigin);
  result.addAttribute(getExtentAttrName(result.name), extent);
  return success();
}

void CopyOp::print(OpAsmPrinter &p) {
  p << " ";
  printSlotted(p, getSource(), getSourceSlotAttr());
  p << " from ";
  printExprs(p, getSourceOrigin());
  p << " -> ";
  printSlotted(p, getDest(), getDestSlotAttr());
  p << " from ";
  printExprs(p, getDestOrigin());
  p << " extent ";
  printExprs(p, getExtent());
  if (getFence())
    p << " fence " << getFenceAttr();
  p.printOptionalAttrDict(
      (*this)->getAttrs(),
      {getSourceSlotAttrName(), getDestSlotAttrName(),
       getSourceOriginAttrName(), getDestOriginAttrName(), getExtentAttrName(),
       getFenceAttrName()});
}

ParseResult WaitOp::parse(OpAsmParser &parser, OperationState &result) {
  MLIRContext *context = parser.getContext();
  StringAttr timeline;
  hr::SizeAttr from, to, count;
  if (parser.parseSymbolName(timeline) || parser.parseLSquare())
    return failure();
  if (succeeded(parser.parseOptionalStar())) {
    from = zero(parser);
    to = hr::SizeAttr::get(context, SizeExpr(allTimelines));
    if (parser.parseRSquare())
      return failure();
  } else {
    if (parseExpr(parser, from))
      return failure();
    if (succeeded(parser.parseOptionalComma())) {
      if (parseExpr(parser, to) || parser.parseRParen())
        return failure();
    } else {
      to = hr::SizeAttr::get(context, from.getExpr() + SizeExpr(1));
      if (parser.parseRSquare())
        return failure();
    }
  }
  if (parser.parseGreater() || parser.parseEqual() || parseExpr(parser, count))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("by"))) {
    IntegerAttr byFrom, byTo;
    if (parser.parseLSquare() || parseNumber(parser, byFrom) ||
        parser.parseComma() || parseNumber(parser, byTo) ||
        parser.parseRParen())
      return failure();
    result.addAttribute(getByFromAttrName(result.name), byFrom);
    result.addAttribute(getByToAttrName(result.name), byTo);
  }
  result.addAttribute(getTimelineAttrName(result.name), timeline);
  result.addAttribute(getFromAttrName(result.name), from);
  result.addAttribute(getToAttrName(result.name), to);
  result.addAttribute(getCountAttrName(result.name), count);
  return parser.parseOptionalAttrDict(result.attributes);
}

void WaitOp::print(OpAsmPrinter &p) {
  p << " ";
  p.printSymbolName(getTimeline());
  SizeExpr from = getFrom().getExpr(), to = getTo().getExpr();
  if (from == SizeExpr(0) && to == SizeExpr(allTimelines)) {
    p << "[*]";
  } else if (to == from + SizeExpr(1)) {
    p << "[";
    printExpr(p, getFromAttr());
    p << "]";
  } else {
    p << "[";
    printExpr(p, getFromAttr());
    p << ", ";
    printExpr(p, getToAttr());
    p << ")";
  }
  p << " >= ";
  printExpr(p, getCountAttr());
  if (getByFrom())
    p << " by [" << *getByFrom() << ", " << getByTo().value_or(0) << ")";
  p.printOptionalAttrDict(
      (*this)->getAttrs(),
      {getTimelineAttrName(), getFromAttrName(), getToAttrName(),
       getCountAttrName(), getByFromAttrName(), getByToAttrName()});
}

ParseResult RepeatOp::parse(OpAsmParser &parser, OperationState &result) {
  IntegerAttr count;
  StringRef index;
  if (parseNumber(parser, count) || parser.parseLParen() ||
      parser.parseKeyword(&index) || parser.parseRParen())
    return failure();
  result.addAttribute(getCountAttrName(result.name), count);
  result.addAttribute(getIndexAttrName(result.name),
                      parser.getBuilder().getStringAttr(index));
  Region *body = result.addRegion();
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*body))
    return failure();
  if (body->empty())
    body->emplaceBlock();
  return success();
}

void RepeatOp::print(OpAsmPrinter &p) {
  p << " " << getCount() << " (" << getIndex() << ")";
  p.printOptionalAttrDictWithKeyword((*this)->getAttrs(),
                                     {getCountAttrName(), getIndexAttrName()});
  p << " ";
  p.printRegion(getBody());
}
