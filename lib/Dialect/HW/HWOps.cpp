//===- HWOps.cpp - Syntax and verifiers of the hw dialect -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every op is a name, perhaps a count, fields in parentheses, perhaps a body.
// One table per op lists its fields: the word, the kind of value, and for
// figures the dimension. Parser, printer and the checks of units and signs
// follow from the table; verifiers hold only what relates several fields.
//
//===----------------------------------------------------------------------===//

#include "headrace/Dialect/HW/HW.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::hw;

//===----------------------------------------------------------------------===//
// Fields
//===----------------------------------------------------------------------===//

namespace {
enum class Form {
  Figure,
  Integer,
  String,
  Strings,
  Symbol,     // @memory
  SymbolPath, // @device::@memory
  Registers,
  Scale,
  Flag, // the word alone
  MemoryKind,
  Place,
  Topology,
  Codegen,
};

struct Field {
  StringLiteral name;
  Form form;
  Dimension dimension = Dimension::Ratio;
  bool required = false;
};
} // namespace

static constexpr Field figure(StringLiteral name, Dimension dimension) {
  return {name, Form::Figure, dimension};
}
static constexpr Field required(Field field) {
  field.required = true;
  return field;
}

static constexpr Field systemFields[] = {
    {"summary", Form::String},
    figure("price", Dimension::DollarsPerHour),
    figure("watts", Dimension::Watts),
};
static constexpr Field deviceFields[] = {
    {"codegen", Form::Codegen},
    {"triple", Form::String},
    {"cpu", Form::String},
    {"features", Form::Strings},
    figure("price", Dimension::DollarsPerHour),
    figure("watts", Dimension::Watts),
    figure("idle_watts", Dimension::Watts),
    {"numa", Form::Integer},
};
static constexpr Field memoryFields[] = {
    {"kind", Form::MemoryKind},
    required(figure("bytes", Dimension::Bytes)),
    required(figure("read", Dimension::BytesPerSecond)),
    figure("write", Dimension::BytesPerSecond),
    figure("nt_write", Dimension::BytesPerSecond),
    figure("worker_read", Dimension::BytesPerSecond),
    figure("worker_write", Dimension::BytesPerSecond),
    figure("worker_nt_write", Dimension::BytesPerSecond),
    figure("latency", Dimension::Seconds),
    {"line", Form::Integer},
    {"ways", Form::Integer},
    figure("energy", Dimension::JoulesPerByte),
};
static constexpr Field workerFields[] = {
    {"kind", Form::String},
    required(figure("clock", Dimension::Hertz)),
    required({"registers", Form::Registers}),
    {"tile_registers", Form::Registers},
    figure("loads", Dimension::Ratio),
    figure("issue", Dimension::Ratio),
    {"broadcast_operand", Form::Flag},
    {"smt", Form::Integer},
    {"subgroup", Form::Integer},
    {"threads", Form::Integer},
};
static constexpr Field costsFields[] = {
    figure("convert", Dimension::Cycles),
    figure("shuffle", Dimension::Cycles),
    figure("gather", Dimension::Cycles),
    figure("scatter", Dimension::Cycles),
    figure("transpose", Dimension::Cycles),
    figure("fold", Dimension::Cycles),
    figure("translations", Dimension::Ratio),
    figure("page_miss", Dimension::Cycles),
    figure("evicted", Dimension::Cycles),
    figure("held", Dimension::Ratio),
    figure("unhidden", Dimension::Ratio),
    figure("unhidden_memory", Dimension::Ratio),
    figure("tile", Dimension::Seconds),
};
static constexpr Field moverFields[] = {
    required({"from", Form::Symbol}),
    required({"to", Form::Symbol}),
    required(figure("bandwidth", Dimension::BytesPerSecond)),
    figure("latency", Dimension::Seconds),
    {"outstanding", Form::Integer},
};
static constexpr Field atomFields[] = {
    required({"instruction", Form::String}),
    {"a_scale", Form::Scale},
    {"b_scale", Form::Scale},
    required(figure("per_cycle", Dimension::Ratio)),
    figure("latency", Dimension::Cycles),
    {"operands", Form::Place},
    {"from", Form::Symbol},
    figure("energy", Dimension::Joules),
    {"needs", Form::Strings},
};
static constexpr Field linkFields[] = {
    required({"from", Form::SymbolPath}),
    required({"to", Form::SymbolPath}),
    {"topology", Form::Topology},
    required(figure("bandwidth", Dimension::BytesPerSecond)),
    figure("latency", Dimension::Seconds),
    {"half_duplex", Form::Flag},
};
static constexpr Field syncFields[] = {
    required(figure("cost", Dimension::Seconds)),
    figure("wake", Dimension::Seconds),
    {"counter_stride", Form::Integer},
};
static constexpr Field codegenFields[] = {
    {"nt_store_fence", Form::String},
    {"async_fence", Form::String},
    {"bypass_load", Form::String},
    figure("prefetch_distance", Dimension::Bytes),
    figure("nt_store_from", Dimension::Bytes),
    figure("denormal", Dimension::Cycles),
    figure("line_crossing", Dimension::Ratio),
    {"page", Form::Integer},
    {"flushes_denormals", Form::Strings},
};

template <typename AttrT, typename EnumT>
static FailureOr<Attribute>
parseWord(OpAsmParser &parser, std::optional<EnumT> (*symbolize)(StringRef),
          StringRef choices) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef word;
  if (parser.parseKeyword(&word))
    return failure();
  std::optional<EnumT> value = symbolize(word);
  if (!value)
    return parser.emitError(loc)
           << "expected one of " << choices << ", but got '" << word << "'";
  return Attribute(AttrT::get(parser.getContext(), *value));
}

template <typename AttrT>
static FailureOr<Attribute> parseAs(OpAsmParser &parser) {
  AttrT attr;
  if (parser.parseAttribute(attr))
    return failure();
  return Attribute(attr);
}

static FailureOr<Attribute> parseValue(OpAsmParser &parser,
                                       const Field &field) {
  Builder &builder = parser.getBuilder();
  switch (field.form) {
  case Form::Figure: {
    SMLoc loc = parser.getCurrentLocation();
    FailureOr<Attribute> attr = hw::detail::parseBareFigure(parser);
    if (failed(attr))
      return failure();
    Dimension dimension = cast<FigureAttr>(*attr).getDimension();
    if (dimension != field.dimension)
      return parser.emitError(loc)
             << "expected '" << field.name << "' in "
             << stringifyDimension(field.dimension) << ", but got "
             << stringifyDimension(dimension);
    return attr;
  }
  case Form::Integer: {
    int64_t value;
    if (parser.parseInteger(value))
      return failure();
    return Attribute(builder.getI64IntegerAttr(value));
  }
  case Form::String:
    return parseAs<StringAttr>(parser);
  case Form::Strings: {
    SmallVector<Attribute> strings;
    if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
          StringAttr string;
          if (parser.parseAttribute(string))
            return failure();
          strings.push_back(string);
          return success();
        }))
      return failure();
    return Attribute(builder.getArrayAttr(strings));
  }
  case Form::Symbol:
    return parseAs<FlatSymbolRefAttr>(parser);
  case Form::SymbolPath:
    return parseAs<SymbolRefAttr>(parser);
  case Form::Registers:
    return hw::detail::parseBareRegisters(parser);
  case Form::Scale:
    return hw::detail::parseBareScale(parser);
  case Form::Flag:
    return Attribute(builder.getUnitAttr());
  case Form::MemoryKind:
    return parseWord<MemoryKindAttr>(parser, symbolizeMemoryKind,
                                     "cache, scratchpad, main");
  case Form::Place:
    return parseWord<PlaceAttr>(parser, symbolizePlace,
                                "registers, tile_registers, shared_memory");
  case Form::Topology:
    return parseWord<TopologyAttr>(
        parser, symbolizeTopology,
        "point, bus, ring, switch, mesh, all_to_all");
  case Form::Codegen:
    return parseWord<CodegenAttr>(parser, symbolizeCodegen,
                                  "x86_64, aarch64, nvptx, amdgpu");
  }
  llvm_unreachable("covered switch");
}

static ParseResult parseFields(OpAsmParser &parser, OperationState &result,
                               ArrayRef<Field> fields) {
  SMLoc start = parser.getCurrentLocation();
  auto parseOne = [&]() -> ParseResult {
    SMLoc loc = parser.getCurrentLocation();
    StringRef word;
    if (parser.parseKeyword(&word))
      return failure();
    const Field *field = llvm::find_if(
        fields, [&](const Field &f) { return f.name == word; });
    if (field == fields.end()) {
      std::string known = llvm::join(
          llvm::map_range(fields, [](const Field &f) { return f.name; }), ", ");
      return parser.emitError(loc) << "unknown field '" << word
                                   << "', expected one of " << known;
    }
    if (result.attributes.get(field->name))
      return parser.emitError(loc) << "field '" << word << "' given twice";
    if (field->form != Form::Flag && parser.parseEqual())
      return failure();
    FailureOr<Attribute> value = parseValue(parser, *field);
    if (failed(value))
      return failure();
    result.addAttribute(field->name, *value);
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::OptionalParen,
                                     parseOne))
    return failure();
  for (const Field &field : fields)
    if (field.required && !result.attributes.get(field.name))
      return parser.emitError(start)
             << "expected a field '" << field.name << "'";
  return success();
}

static void printValue(OpAsmPrinter &printer, Attribute attr) {
  TypeSwitch<Attribute>(attr)
      .Case<FigureAttr, RegistersAttr, ScaleAttr>(
          [&](Attribute a) { hw::detail::printBare(printer, a); })
      .Case([&](IntegerAttr a) { printer << a.getInt(); })
      .Case([&](MemoryKindAttr a) {
        printer << stringifyMemoryKind(a.getValue());
      })
      .Case([&](PlaceAttr a) { printer << stringifyPlace(a.getValue()); })
      .Case([&](TopologyAttr a) {
        printer << stringifyTopology(a.getValue());
      })
      .Case([&](CodegenAttr a) { printer << stringifyCodegen(a.getValue()); })
      .Default([&](Attribute a) { printer.printAttributeWithoutType(a); });
}

static void printFields(OpAsmPrinter &printer, Operation *op,
                        ArrayRef<Field> fields) {
  bool first = true;
  for (const Field &field : fields) {
    Attribute attr = op->getAttr(field.name);
    if (!attr)
      continue;
    printer << (first ? " (" : ", ") << field.name;
    first = false;
    if (field.form == Form::Flag)
      continue;
    printer << " = ";
    printValue(printer, attr);
  }
  if (!first)
    printer << ')';
}

/// The checks that follow from the table: dimensions, which the generic form
/// can get wrong, and signs.
static LogicalResult verifyFields(Operation *op, ArrayRef<Field> fields) {
  for (const Field &field : fields) {
    Attribute attr = op->getAttr(field.name);
    if (auto integer = dyn_cast_or_null<IntegerAttr>(attr))
      if (integer.getInt() <= 0)
        return op->emitOpError() << "expected '" << field.name
                                 << "' to be positive but got "
                                 << integer.getInt();
    if (auto registers = dyn_cast_or_null<RegistersAttr>(attr))
      if (registers.getCount() <= 0 || registers.getBits() <= 0)
        return op->emitOpError()
               << "expected '" << field.name << "' to be positive but got "
               << registers.getCount() << " x " << registers.getBits();
    if (auto scale = dyn_cast_or_null<ScaleAttr>(attr))
      if (scale.getBlock() <= 0)
        return op->emitOpError() << "expected the block of '" << field.name
                                 << "' to be positive but got "
                                 << scale.getBlock();
    auto value = dyn_cast_or_null<FigureAttr>(attr);
    if (!value)
      continue;
    if (value.getDimension() != field.dimension)
      return op->emitOpError()
             << "expected '" << field.name << "' in "
             << stringifyDimension(field.dimension) << ", but got "
             << stringifyDimension(value.getDimension());
    bool zeroIsFine = field.dimension == Dimension::Seconds ||
                      field.dimension == Dimension::DollarsPerHour ||
                      field.dimension == Dimension::Watts ||
                      field.dimension == Dimension::Cycles ||
                      field.dimension == Dimension::Joules ||
                      field.dimension == Dimension::JoulesPerByte;
    if (!std::isfinite(value.getValue()) ||
        (zeroIsFine ? value.getValue() < 0 : value.getValue() <= 0))
      return op->emitOpError()
             << "expected '" << field.name << "' to be "
             << (zeroIsFine ? "zero or more" : "positive") << " but got "
             << value.str();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Shared parts of the syntax
//===----------------------------------------------------------------------===//

static ParseResult parseName(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  return parser.parseSymbolName(name, SymbolTable::getSymbolAttrName(),
                                result.attributes);
}

static void printName(OpAsmPrinter &printer, Operation *op) {
  printer << ' ';
  printer.printSymbolName(SymbolTable::getSymbolName(op).getValue());
}

/// `x N`, 1 if left out.
static ParseResult parseCount(OpAsmParser &parser, OperationState &result) {
  int64_t count = 1;
  if (succeeded(parser.parseOptionalKeyword("x")) &&
      parser.parseInteger(count))
    return failure();
  result.addAttribute("count", parser.getBuilder().getI64IntegerAttr(count));
  return success();
}

static void printCount(OpAsmPrinter &printer, uint64_t count) {
  if (count != 1)
    printer << " x " << int64_t(count);
}

static LogicalResult verifyCount(Operation *op, uint64_t count) {
  if (int64_t(count) < 1)
    return op->emitOpError()
           << "expected a count of 1 or more but got " << int64_t(count);
  return success();
}

static ParseResult parseBody(OpAsmParser &parser, OperationState &result) {
  Region *body = result.addRegion();
  OptionalParseResult parsed =
      parser.parseOptionalRegion(*body, /*arguments=*/{});
  if (parsed.has_value() && failed(*parsed))
    return failure();
  if (body->empty())
    body->emplaceBlock();
  return success();
}

static void printBody(OpAsmPrinter &printer, Region &body) {
  if (body.empty() || body.front().empty())
    return;
  printer << ' ';
  printer.printRegion(body, /*printEntryBlockArgs=*/false,
                      /*printBlockTerminators=*/false);
}

/// The memory of that name that is in scope of `op`: in the nearest body
/// outward that has one.
static MemoryOp lookupMemory(Operation *op, StringRef name) {
  for (Operation *scope = op->getParentOp(); scope;
       scope = scope->getParentOp()) {
    if (!isa<WorkerOp, DeviceOp, SystemOp>(scope))
      break;
    if (auto memory = dyn_cast_or_null<MemoryOp>(
            SymbolTable::lookupSymbolIn(scope, name)))
      return memory;
  }
  return {};
}

/// Memories of one body are listed from the outermost inward.
static LogicalResult verifyMemoryOrder(Block &body) {
  MemoryOp outer;
  for (auto memory : body.getOps<MemoryOp>()) {
    if (outer && outer.getLatency() && memory.getLatency() &&
        memory.getLatency()->getValue() > outer.getLatency()->getValue()) {
      InFlightDiagnostic diagnostic =
          memory.emitOpError()
          << "is inside of @" << outer.getSymName()
          << " but its latency is higher: " << memory.getLatency()->str();
      diagnostic.attachNote(outer.getLoc())
          << "@" << outer.getSymName() << " has "
          << outer.getLatency()->str()
          << "; memories are listed from the outermost inward";
      return failure();
    }
    outer = memory;
  }
  return success();
}

template <typename OpT> static LogicalResult verifyAtMostOne(Block &body) {
  OpT first;
  for (auto op : body.getOps<OpT>()) {
    if (!first) {
      first = op;
      continue;
    }
    InFlightDiagnostic diagnostic = op.emitOpError()
                                    << "expected at most one in a "
                                    << op->getParentOp()->getName().stripDialect();
    diagnostic.attachNote(first.getLoc()) << "the first is here";
    return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// hw.system
//===----------------------------------------------------------------------===//

ParseResult SystemOp::parse(OpAsmParser &parser, OperationState &result) {
  return failure(parseName(parser, result) ||
                 parseFields(parser, result, systemFields) ||
                 parseBody(parser, result));
}

void SystemOp::print(OpAsmPrinter &printer) {
  printName(printer, *this);
  printFields(printer, *this, systemFields);
  printBody(printer, getBody());
}

LogicalResult SystemOp::verify() {
  return failure(failed(verifyFields(*this, systemFields)) ||
                 failed(verifyMemoryOrder(getBody().front())));
}

LogicalResult SystemOp::verifyRegions() {
  bool runnable = false;
  getBody().walk([&](DeviceOp device) {
    if (!device.getCodegen())
      return;
    device.walk([&](WorkerOp) { runnable = true; });
  });
  if (!runnable)
    return emitOpError("expected a device with 'codegen' that has a worker");
  return success();
}

//===----------------------------------------------------------------------===//
// hw.device
//===----------------------------------------------------------------------===//

ParseResult DeviceOp::parse(OpAsmParser &parser, OperationState &result) {
  return failure(parseName(parser, result) || parseCount(parser, result) ||
                 parseFields(parser, result, deviceFields) ||
                 parseBody(parser, result));
}

void DeviceOp::print(OpAsmPrinter &printer) {
  printName(printer, *this);
  printCount(printer, getCount());
  printFields(printer, *this, deviceFields);
  printBody(printer, getBody());
}

LogicalResult DeviceOp::verify() {
  Block &body = getBody().front();
  if (failed(verifyCount(*this, getCount())) ||
      failed(verifyFields(*this, deviceFields)) ||
      failed(verifyMemoryOrder(body)) ||
      failed(verifyAtMostOne<SyncOp>(body)) ||
      failed(verifyAtMostOne<CodegenOp>(body)))
    return failure();
  if (getCodegen()) {
    for (Operation *op = (*this)->getParentOp(); op; op = op->getParentOp()) {
      auto outer = dyn_cast<DeviceOp>(op);
      if (!outer || !outer.getCodegen())
        continue;
      InFlightDiagnostic diagnostic =
          emitOpError() << "has 'codegen' inside a device that has it too";
      diagnostic.attachNote(outer.getLoc()) << "the outer device is here";
      return failure();
    }
    return success();
  }
  if (getTriple() || getCpu() || getFeatures())
    return emitOpError(
        "has 'triple', 'cpu' or 'features' but no 'codegen' that uses them");
  return success();
}

//===----------------------------------------------------------------------===//
// hw.memory
//===----------------------------------------------------------------------===//

ParseResult MemoryOp::parse(OpAsmParser &parser, OperationState &result) {
  return failure(parseName(parser, result) ||
                 parseFields(parser, result, memoryFields));
}

void MemoryOp::print(OpAsmPrinter &printer) {
  printName(printer, *this);
  printFields(printer, *this, memoryFields);
}

LogicalResult MemoryOp::verify() {
  if (failed(verifyFields(*this, memoryFields)))
    return failure();
  auto within = [&](StringRef name, std::optional<FigureAttr> worker,
                    StringRef levelName,
                    std::optional<FigureAttr> level) -> LogicalResult {
    if (!worker || !level || worker->getValue() <= level->getValue())
      return success();
    return emitOpError() << "expected '" << name << "' to be at most '"
                         << levelName << "', but " << worker->str()
                         << " is above " << level->str();
  };
  std::optional<FigureAttr> write = getWrite(), ntWrite = getNtWrite();
  if (!write)
    write = getRead();
  if (!ntWrite)
    ntWrite = write;
  if (failed(within("worker_read", getWorkerRead(), "read", getRead())) ||
      failed(within("worker_write", getWorkerWrite(), "write", write)) ||
      failed(within("worker_nt_write", getWorkerNtWrite(), "nt_write",
                    ntWrite)))
    return failure();
  if (getWays() && *getWays() < 1)
    return emitOpError() << "expected 'ways' to be positive but got "
                         << int64_t(*getWays());
  if (getLine() && !llvm::isPowerOf2_64(*getLine()))
    return emitOpError() << "expected 'line' to be a power of two but got "
                         << int64_t(*getLine());
  return success();
}

//===----------------------------------------------------------------------===//
// hw.worker
//===----------------------------------------------------------------------===//

ParseResult WorkerOp::parse(OpAsmParser &parser, OperationState &result) {
  return failure(parseName(parser, result) || parseCount(parser, result) ||
                 parseFields(parser, result, workerFields) ||
                 parseBody(parser, result));
}

void WorkerOp::print(OpAsmPrinter &printer) {
  printName(printer, *this);
  printCount(printer, getCount());
  printFields(printer, *this, workerFields);
  printBody(printer, getBody());
}

LogicalResult WorkerOp::verify() {
  return failure(failed(verifyCount(*this, getCount())) ||
                 failed(verifyFields(*this, workerFields)) ||
                 failed(verifyMemoryOrder(getBody().front())) ||
                 failed(verifyAtMostOne<CostsOp>(getBody().front())));
}

//===----------------------------------------------------------------------===//
// hw.costs
//===----------------------------------------------------------------------===//

ParseResult CostsOp::parse(OpAsmParser &parser, OperationState &result) {
  return parseFields(parser, result, costsFields);
}

void CostsOp::print(OpAsmPrinter &printer) {
  printFields(printer, *this, costsFields);
}

LogicalResult CostsOp::verify() {
  if (failed(verifyFields(*this, costsFields)))
    return failure();
  for (auto [name, part] : {std::pair("held", getHeld()),
                            {"unhidden", getUnhidden()},
                            {"unhidden_memory", getUnhiddenMemory()}})
    if (part && part->getValue() > 1)
      return emitOpError() << "expected '" << name << "' to be at most 1";
  return success();
}

//===----------------------------------------------------------------------===//
// hw.mover
//===----------------------------------------------------------------------===//

ParseResult MoverOp::parse(OpAsmParser &parser, OperationState &result) {
  return failure(parseName(parser, result) || parseCount(parser, result) ||
                 parseFields(parser, result, moverFields));
}

void MoverOp::print(OpAsmPrinter &printer) {
  printName(printer, *this);
  printCount(printer, getCount());
  printFields(printer, *this, moverFields);
}

LogicalResult MoverOp::verify() {
  if (failed(verifyCount(*this, getCount())) ||
      failed(verifyFields(*this, moverFields)))
    return failure();
  for (FlatSymbolRefAttr ref : {getFromAttr(), getToAttr()})
    if (!lookupMemory(*this, ref.getValue()))
      return emitOpError() << "refers to memory " << ref
                           << ", which is not in scope";
  return success();
}

//===----------------------------------------------------------------------===//
// hw.atom
//===----------------------------------------------------------------------===//

ParseResult AtomOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  int64_t m, n, k;
  Type a, b, c;
  if (parseName(parser, result) || parser.parseInteger(m) ||
      parser.parseKeyword("x") || parser.parseInteger(n) ||
      parser.parseKeyword("x") || parser.parseInteger(k) ||
      parser.parseType(a) || parser.parseComma() || parser.parseType(b) ||
      parser.parseArrow() || parser.parseType(c) ||
      parseFields(parser, result, atomFields))
    return failure();
  result.addAttribute("m", builder.getI64IntegerAttr(m));
  result.addAttribute("n", builder.getI64IntegerAttr(n));
  result.addAttribute("k", builder.getI64IntegerAttr(k));
  result.addAttribute("a", TypeAttr::get(a));
  result.addAttribute("b", TypeAttr::get(b));
  result.addAttribute("c", TypeAttr::get(c));
  return success();
}

void AtomOp::print(OpAsmPrinter &printer) {
  printName(printer, *this);
  printer << ' ' << int64_t(getM()) << " x " << int64_t(getN()) << " x "
          << int64_t(getK()) << ' ' << getA() << ", " << getB() << " -> "
          << getC();
  printFields(printer, *this, atomFields);
}

LogicalResult AtomOp::verify() {
  if (failed(verifyFields(*this, atomFields)))
    return failure();
  if (int64_t(getM()) < 1 || int64_t(getN()) < 1 || int64_t(getK()) < 1)
    return emitOpError() << "expected a shape of positive sizes but got "
                         << int64_t(getM()) << " x " << int64_t(getN())
                         << " x " << int64_t(getK());
  for (Type type : {getA(), getB(), getC()})
    if (!type.isIntOrFloat())
      return emitOpError()
             << "expected integer or float element types but got " << type;
  auto worker = cast<WorkerOp>((*this)->getParentOp());
  if (getOperands() == Place::TileRegisters && !worker.getTileRegisters())
    return emitOpError() << "has its operands in tile registers, but worker @"
                         << worker.getSymName() << " has none";
  if (FlatSymbolRefAttr from = getFromAttr())
    if (!lookupMemory(*this, from.getValue()))
      return emitOpError() << "refers to memory " << from
                           << ", which is not in scope";
  if (!getNeeds())
    return success();
  DeviceOp device;
  for (Operation *op = worker->getParentOp(); op && !device;
       op = op->getParentOp())
    if (auto outer = dyn_cast<DeviceOp>(op); outer && outer.getCodegen())
      device = outer;
  if (!device)
    return success();
  llvm::StringSet<> features;
  if (auto list = device.getFeatures())
    for (StringAttr feature : list->getAsRange<StringAttr>())
      features.insert(feature.getValue());
  for (StringAttr need : getNeeds()->getAsRange<StringAttr>()) {
    if (features.contains(need.getValue()))
      continue;
    InFlightDiagnostic diagnostic = emitOpError()
                                    << "needs feature " << need
                                    << ", which its device does not list";
    diagnostic.attachNote(device.getLoc()) << "the device is here";
    return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// hw.link
//===----------------------------------------------------------------------===//

ParseResult LinkOp::parse(OpAsmParser &parser, OperationState &result) {
  return failure(parseName(parser, result) || parseCount(parser, result) ||
                 parseFields(parser, result, linkFields));
}

void LinkOp::print(OpAsmPrinter &printer) {
  printName(printer, *this);
  printCount(printer, getCount());
  printFields(printer, *this, linkFields);
}

LogicalResult LinkOp::verify() {
  if (failed(verifyCount(*this, getCount())) ||
      failed(verifyFields(*this, linkFields)))
    return failure();
  for (SymbolRefAttr ref : {getFromAttr(), getToAttr()})
    if (!isa_and_nonnull<MemoryOp>(
            SymbolTable::lookupSymbolIn((*this)->getParentOp(), ref)))
      return emitOpError() << "expected a path to a memory, but there is none "
                              "at "
                           << ref;
  return success();
}

//===----------------------------------------------------------------------===//
// hw.sync, hw.codegen
//===----------------------------------------------------------------------===//

ParseResult SyncOp::parse(OpAsmParser &parser, OperationState &result) {
  return parseFields(parser, result, syncFields);
}

void SyncOp::print(OpAsmPrinter &printer) {
  printFields(printer, *this, syncFields);
}

LogicalResult SyncOp::verify() { return verifyFields(*this, syncFields); }

ParseResult CodegenOp::parse(OpAsmParser &parser, OperationState &result) {
  return parseFields(parser, result, codegenFields);
}

void CodegenOp::print(OpAsmPrinter &printer) {
  printFields(printer, *this, codegenFields);
}

LogicalResult CodegenOp::verify() {
  if (failed(verifyFields(*this, codegenFields)))
    return failure();
  if (!getFlushesDenormals())
    return success();
  llvm::StringSet<> atoms;
  (*this)->getParentOp()->walk(
      [&](AtomOp atom) { atoms.insert(atom.getSymName()); });
  for (StringAttr name : getFlushesDenormals()->getAsRange<StringAttr>())
    if (!atoms.contains(name.getValue()))
      return emitOpError() << "names atom " << name
                           << " in 'flushes_denormals', but its device has "
                              "no such atom";
  return success();
}

#define GET_OP_CLASSES
#include "headrace/Dialect/HW/HWOps.cpp.inc"
