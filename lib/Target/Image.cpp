//===- Image.cpp - The tables of an artifact, and its signature -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Image.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Runtime/Layout.h"
#include "headrace/Runtime/Rename.h"
#include "headrace/Runtime/headrace.h"
#include "headrace/Support/WeightStore.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/GlobalVariable.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace headrace;

static constexpr int64_t unbounded = std::numeric_limits<int64_t>::max();

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

namespace {
struct ElementInfo {
  uint8_t code;
  StringRef name;  // in the signature: numpy's and torch's word
  StringRef cType; // in generated headers
};
} // namespace

static std::optional<ElementInfo> getElementInfo(const ImagePort &port) {
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

/// An element of `hr.checks`; nothing if it is none of an entry with such inputs.
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

//===----------------------------------------------------------------------===//
// CPU features
//===----------------------------------------------------------------------===//

static const char *const featureNames[] = {
#define HR_X86_FEATURE(id, name, leaf, subleaf, reg, bit, xcr0) name,
#define HR_AARCH64_FEATURE(id, name, word, bit) name,
#include "headrace/Runtime/CPUFeatures.def"
};

/// The number of a feature of `codegen`, or -1; some names mean different
/// things on different machines.
static int64_t findFeature(StringRef codegen, StringRef name) {
  bool x86 = codegen == "x86_64";
  for (int64_t i = 0; i < HR_NUM_CPU_FEATURES; ++i)
    if ((i < HR_AARCH64_FP) == x86 && name == featureNames[i])
      return i;
  return -1;
}

/// Modes of the code generator rather than instructions of the machine.
static bool isAlwaysThere(StringRef name) {
  return name == "64bit" || name.starts_with("-");
}

LogicalResult headrace::checkFeatures(const hw::Device &device,
                                      std::string &error) {
  for (const std::string &name : device.features) {
    if (isAlwaysThere(name) || findFeature(device.codegen, name) >= 0)
      continue;
    error = "feature '" + name + "' of device '" + device.name +
            "' is not among those that can be checked when an artifact is "
            "opened";
    return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Signature
//===----------------------------------------------------------------------===//

static void writePort(llvm::json::OStream &json, const ImagePort &port) {
  json.object([&] {
    json.attribute("name", port.name);
    json.attribute("dtype", getElementInfo(port)->name);
    json.attributeArray("shape", [&] {
      for (const SizeExpr &dim : port.dims) {
        if (std::optional<int64_t> value = dim.getConstant())
          json.value(*value);
        else
          json.value(dim.str());
      }
    });
    if (port.mutates >= 0)
      json.attribute("mutates", port.mutates);
  });
}

/// Per leaf of a pytree the number of the tensor, or {"constant": value}, or
/// {"size": expression}.
static void writeLeaves(llvm::json::OStream &json, StringRef key,
                        ArrayAttr leaves) {
  if (!leaves)
    return;
  json.attributeArray(key, [&] {
    for (Attribute leaf : leaves) {
      if (auto number = dyn_cast<IntegerAttr>(leaf);
          number && !number.getType().isInteger(1)) {
        json.value(number.getInt());
        continue;
      }
      json.object([&] {
        if (auto size = dyn_cast<hr::SizeAttr>(leaf)) {
          if (std::optional<int64_t> value = size.getExpr().getConstant())
            json.attribute("constant", *value);
          else
            json.attribute("size", size.getText());
        } else if (auto flag = dyn_cast<BoolAttr>(leaf)) {
          json.attribute("constant", flag.getValue());
        } else if (auto real = dyn_cast<FloatAttr>(leaf)) {
          json.attribute("constant", real.getValueAsDouble());
        } else if (auto text = dyn_cast<StringAttr>(leaf)) {
          json.attribute("constant", text.getValue());
        } else {
          json.attribute("constant", nullptr);
        }
      });
    }
  });
}

/// A file's name; bytes that are no UTF-8 as U+DC80 to U+DCFF, as Python has them.
static void writeFileName(llvm::json::OStream &json, StringRef key,
                          StringRef name) {
  if (llvm::json::isUTF8(name))
    return json.attribute(key, name);
  std::string text = "\"";
  for (unsigned char c : name) {
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
      text += static_cast<char>(c);
    else
      text += (c < 0x80 ? "\\u00" : "\\udc") +
              llvm::utohexstr(c, /*LowerCase=*/true, 2);
  }
  json.attributeBegin(key);
  json.rawValue(text + "\"");
  json.attributeEnd();
}

std::string headrace::writeSignature(const Image &image) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::OStream json(os);
  json.object([&] {
    json.attribute("name", image.name);
    json.attribute("abi", HR_ABI_VERSION);
    json.attribute("producer", image.producer);
    json.attribute("schedule", llvm::utohexstr(image.scheduleHash,
                                               /*LowerCase=*/true, 16));
    json.attribute("codegen", image.codegen);
    json.attributeArray("features", [&] {
      for (const std::string &feature : image.features)
        json.value(feature);
    });
    json.attributeArray("entries", [&] {
      for (const ImageEntry &entry : image.entries) {
        json.object([&] {
          json.attribute("name", entry.name);
          json.attributeArray("symbols", [&] {
            for (const ImageSymbol &symbol : entry.symbols)
              json.object([&] {
                json.attribute("name", symbol.name);
                json.attribute("least", symbol.range.min);
                if (symbol.range.max != unbounded)
                  json.attribute("largest", symbol.range.max);
              });
          });
          json.attributeArray("inputs", [&] {
            for (const ImagePort &port : entry.inputs)
              writePort(json, port);
          });
          json.attributeArray("outputs", [&] {
            for (const ImagePort &port : entry.outputs)
              writePort(json, port);
          });
          json.attributeArray("schedules", [&] {
            for (const ImageSchedule &schedule : entry.schedules)
              json.object([&] {
                json.attribute("workers", schedule.workers);
                json.attribute("arena", schedule.arenaBytes.str());
                json.attribute("scratch", schedule.scratchStride);
                json.attribute("from_work", schedule.fromWork);
              });
          });
          json.attribute("work", entry.work.str());
          json.attributeArray("commands", [&] {
            for (const std::string &command : entry.commands)
              json.value(command);
          });
          if (!entry.inSpec.empty())
            json.attribute("in_spec", entry.inSpec);
          if (!entry.outSpec.empty())
            json.attribute("out_spec", entry.outSpec);
          if (!entry.requirements.empty())
            json.attributeArray("requires", [&] {
              for (const ImageRequirement &requirement : entry.requirements)
                json.object([&] {
                  json.attribute("condition", requirement.condition.str());
                  json.attribute("text", requirement.text);
                  if (!requirement.where.empty())
                    json.attribute("where", requirement.where);
                });
            });
          writeLeaves(json, "in_leaves", entry.inLeaves);
          writeLeaves(json, "out_leaves", entry.outLeaves);
        });
      }
    });
    json.attributeArray("states", [&] {
      for (const ImageState &state : image.states)
        json.object([&] {
          ImagePort port;
          port.name = state.name;
          port.elementType = state.type.getElementType();
          std::optional<ElementInfo> info = getElementInfo(port);
          json.attribute("name", state.name);
          json.attribute("dtype", info ? info->name : "other");
          json.attributeArray("shape", [&] {
            for (int64_t size : state.type.getShape())
              json.value(size);
          });
        });
    });
    json.attribute("weight_bytes", image.weightBytes);
    if (!image.weightsFile.empty())
      writeFileName(json, "weights_file", image.weightsFile);
  });
  return text;
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

namespace {
/// Builds constants whose fields are all i64 or pointers, as Layout.h has them.
class TableBuilder {
public:
  explicit TableBuilder(llvm::Module &module)
      : module(module), context(module.getContext()),
        i64(llvm::Type::getInt64Ty(context)),
        ptr(llvm::PointerType::get(context, 0)) {}

  llvm::Constant *number(int64_t value) {
    return llvm::ConstantInt::getSigned(i64, value);
  }
  llvm::Constant *null() { return llvm::ConstantPointerNull::get(ptr); }
  llvm::Constant *string(StringRef text) {
    llvm::GlobalVariable *&global = strings[text];
    if (!global) {
      global = define(llvm::ConstantDataArray::getString(context, text), ".str");
      global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
      global->setAlignment(llvm::Align(1));
    }
    return global;
  }
  llvm::Constant *record(ArrayRef<llvm::Constant *> fields) {
    return llvm::ConstantStruct::getAnon(context, fields);
  }
  /// A pointer to an array; null if it is empty.
  llvm::Constant *array(ArrayRef<llvm::Constant *> elements, const Twine &name) {
    if (elements.empty())
      return null();
    auto *type = llvm::ArrayType::get(elements[0]->getType(), elements.size());
    return define(llvm::ConstantArray::get(type, elements), name);
  }
  llvm::Constant *numbers(ArrayRef<int64_t> values, const Twine &name) {
    SmallVector<llvm::Constant *> constants;
    for (int64_t value : values)
      constants.push_back(number(value));
    return array(constants, name);
  }
  llvm::GlobalVariable *define(llvm::Constant *value, const Twine &name) {
    auto *global = new llvm::GlobalVariable(
        module, value->getType(), /*isConstant=*/true,
        llvm::GlobalValue::PrivateLinkage, value, name);
    global->setAlignment(llvm::Align(8));
    return global;
  }
  llvm::Constant *function(StringRef name) {
    llvm::FunctionCallee callee = module.getOrInsertFunction(
        name, llvm::FunctionType::get(llvm::Type::getVoidTy(context), false));
    auto *function = cast<llvm::Function>(callee.getCallee());
    function->setVisibility(llvm::GlobalValue::HiddenVisibility);
    function->setDSOLocal(true);
    return function;
  }

  llvm::Module &module;
  llvm::LLVMContext &context;
  llvm::Type *i64;
  llvm::PointerType *ptr;

private:
  llvm::StringMap<llvm::GlobalVariable *> strings;
};

/// Writes a size as a program for the runtime's stack machine.
struct SizeProgram : SizeExpr::Visitor {
  explicit SizeProgram(const ImageEntry &entry) : entry(entry) {}
  void constant(int64_t value) override {
    code.append({HR_SIZE_CONST, value});
  }
  void symbol(StringRef name) override {
    code.append({HR_SIZE_SYMBOL, entry.findSymbol(name)});
  }
  void binary(StringRef op) override {
    int64_t opcode = llvm::StringSwitch<int64_t>(op)
                         .Case("+", HR_SIZE_ADD)
                         .Case("*", HR_SIZE_MUL)
                         .Case("floordiv", HR_SIZE_FLOORDIV)
                         .Case("mod", HR_SIZE_MOD)
                         .Case("min", HR_SIZE_MIN)
                         .Default(HR_SIZE_MAX);
    code.append({opcode, 0});
  }
  const ImageEntry &entry;
  SmallVector<int64_t> code;
};
} // namespace

static llvm::Constant *buildSize(TableBuilder &b, const ImageEntry &entry,
                                 const SizeExpr &expr, StringRef text) {
  if (std::optional<int64_t> value = expr.getConstant())
    return b.record({b.string(std::to_string(*value)), b.number(*value),
                     b.null(), b.number(0)});
  SizeProgram program(entry);
  expr.visit(program);
  return b.record({b.string(text), b.number(0),
                   b.numbers(program.code, "size"),
                   b.number(static_cast<int64_t>(program.code.size()) / 2)});
}

static llvm::Constant *buildPorts(TableBuilder &b, const ImageEntry &entry,
                                  ArrayRef<ImagePort> ports) {
  SmallVector<llvm::Constant *> table;
  for (const ImagePort &port : ports) {
    SmallVector<llvm::Constant *> dims;
    int64_t element = getElementBytes(port.elementType);
    SizeExpr bytes(element);
    for (auto [dim, text] : llvm::zip_equal(port.dims, port.dimTexts)) {
      dims.push_back(buildSize(b, entry, dim, text));
      bytes = bytes * dim;
    }
    int64_t dtype = getElementInfo(port)->code | element * 8 << 8;
    table.push_back(
        b.record({b.string(port.name), b.number(dtype),
                  b.number(static_cast<int64_t>(port.dims.size())),
                  b.number(bytes.bounds(entry.getRanges()).max),
                  b.array(dims, "dims")}));
  }
  return b.array(table, "ports");
}

static llvm::Constant *buildEntry(TableBuilder &b, const ImageEntry &entry) {
  SmallVector<llvm::Constant *> symbols, requirements, schedules, checks, kept;
  for (const ImageSymbol &symbol : entry.symbols)
    symbols.push_back(
        b.record({b.string(symbol.userName), b.number(symbol.range.min),
                  b.number(symbol.range.max), b.number(symbol.input),
                  b.number(symbol.dim), b.number(symbol.scale),
                  b.number(symbol.offset)}));
  for (const ImageRequirement &requirement : entry.requirements)
    requirements.push_back(b.record(
        {buildSize(b, entry, requirement.condition, requirement.text),
         b.string(requirement.text), b.string(requirement.where)}));
  for (const ImageSchedule &schedule : entry.schedules)
    schedules.push_back(b.record(
        {b.number(schedule.workers),
         buildSize(b, entry, schedule.arenaBytes, schedule.arenaBytes.str()),
         b.number(schedule.arenaBytes.bounds(entry.getRanges()).max),
         b.number(schedule.scratchStride), schedule.timeline,
         b.number(schedule.fromWork)}));
  for (const ImageCheck &check : entry.checks)
    checks.push_back(b.record({b.number(check.input),
                               buildSize(b, entry, check.bound,
                                          check.bound.str()),
                               b.number(check.wrap),
                               b.number(check.siteNumber)}));
  for (const ImageSpan &span : entry.kept)
    kept.push_back(b.record({b.number(span.offset), b.number(span.bytes)}));
  return b.record({b.string(entry.name),
                   b.number(static_cast<int64_t>(symbols.size())),
                   b.number(static_cast<int64_t>(requirements.size())),
                   b.number(static_cast<int64_t>(entry.inputs.size())),
                   b.number(static_cast<int64_t>(entry.outputs.size())),
                   b.number(static_cast<int64_t>(schedules.size())),
                   b.array(symbols, "symbols"),
                   b.array(requirements, "requirements"),
                   buildPorts(b, entry, entry.inputs),
                   buildPorts(b, entry, entry.outputs),
                   b.array(schedules, "schedules"),
                   buildSize(b, entry, entry.work, entry.work.str()),
                   b.number(static_cast<int64_t>(checks.size())),
                   b.array(checks, "checks"),
                   b.number(static_cast<int64_t>(kept.size())),
                   b.array(kept, "kept")});
}

namespace {
/// The names that a copy of the artifact may have to change, in one block.
struct NameBlock {
  NameBlock(TableBuilder &b, const Image &image, StringRef signature) {
    std::string bytes(sizeof(hr_names), '\0');
    auto add = [&](StringRef text, size_t room) {
      size_t at = bytes.size();
      bytes += text;
      bytes.resize(at + llvm::alignTo(std::max(room, text.size() + 1), 8));
      return bytes.size() - at;
    };
    hr_names header = {HR_NAMES_MAGIC, 0, 0, 0};
    header.name_bytes = add(image.name, HR_NAME_ROOM);
    header.weights_file_bytes = add(image.weightsFile, HR_FILE_ROOM);
    header.signature_bytes =
        add(signature, signature.size() + HR_SIGNATURE_ROOM);
    std::memcpy(bytes.data(), &header, sizeof header);
    llvm::GlobalVariable *block = b.define(
        llvm::ConstantDataArray::getString(b.context, bytes, /*AddNull=*/false),
        "names");
    uint64_t at = sizeof header;
    auto take = [&](uint64_t size) {
      llvm::Constant *offset = b.number(static_cast<int64_t>(at));
      at += size;
      return llvm::ConstantExpr::getGetElementPtr(
          llvm::Type::getInt8Ty(b.context), block, offset);
    };
    name = take(header.name_bytes);
    weightsFile = take(header.weights_file_bytes);
    this->signature = take(header.signature_bytes);
  }
  llvm::Constant *name, *weightsFile, *signature;
};
} // namespace

void headrace::emitImage(const Image &image, StringRef signature,
                         ArrayRef<uint64_t> id, llvm::Module &module,
                         ArrayRef<char> embeddedWeights) {
  TableBuilder b(module);
  SmallVector<int64_t> features;
  for (const std::string &name : image.features)
    if (int64_t feature = findFeature(image.codegen, name); feature >= 0)
      features.push_back(feature);
  SmallVector<llvm::Constant *> entries, states, sites;
  for (const ImageEntry &entry : image.entries)
    entries.push_back(buildEntry(b, entry));
  for (const ImageState &state : image.states)
    states.push_back(b.record({b.string(state.name), b.number(state.offset),
                               b.number(state.bytes),
                               b.number(state.initial)}));
  for (const ImageSite &site : image.sites)
    sites.push_back(b.record({b.string(site.what), b.string(site.where),
                              b.string(site.message), b.number(site.ranged)}));

  llvm::Constant *weights = b.null();
  if (image.embedWeights && !embeddedWeights.empty()) {
    auto *data = b.define(
        llvm::ConstantDataArray::getRaw(
            StringRef(embeddedWeights.data(), embeddedWeights.size()),
            embeddedWeights.size(), llvm::Type::getInt8Ty(b.context)),
        "weights");
    data->setAlignment(llvm::Align(4096));
    weights = data;
  }
  NameBlock names(b, image, signature);
  llvm::Constant *table = b.record(
      {b.number(HR_FOOTER_VERSION), names.name, names.signature,
       b.number(static_cast<int64_t>(features.size())),
       b.number(static_cast<int64_t>(entries.size())),
       b.number(static_cast<int64_t>(states.size())),
       b.number(static_cast<int64_t>(sites.size())),
       b.numbers(features, "features"), b.array(entries, "entries"),
       b.array(states, "states"), b.array(sites, "sites"),
       b.number(image.stateBytes), b.number(image.weightBytes), weights,
       image.weightsFile.empty() ? b.null() : names.weightsFile,
       b.number(static_cast<int64_t>(id[0])),
       b.number(static_cast<int64_t>(id[1]))});
  llvm::GlobalVariable *global = b.define(table, "hr_rt_image");
  global->setLinkage(llvm::GlobalValue::ExternalLinkage);
  global->setVisibility(llvm::GlobalValue::HiddenVisibility);

  // The table that users see: hr_table of headrace.h. Two pairs of 32-bit
  // fields come first.
  auto pair = [&](uint64_t low, uint64_t high) {
    return b.number(static_cast<int64_t>(low | high << 32));
  };
  SmallVector<llvm::Constant *> fields = {
      pair(HR_ABI_VERSION, sizeof(hr_table)), pair(sizeof(DLTensor), 0),
      names.name};
  for (const char *name :
       {"hr_rt_describe", "hr_rt_open", "hr_rt_close", "hr_pool_create",
        "hr_pool_destroy", "hr_rt_create_context", "hr_rt_destroy_context",
        "hr_rt_reset", "hr_rt_workers", "hr_rt_find_entry", "hr_rt_infer",
        "hr_rt_run", "hr_rt_message"})
    fields.push_back(b.function(name));
  llvm::GlobalVariable *model = b.define(b.record(fields), image.symbol);
  model->setLinkage(llvm::GlobalValue::ExternalLinkage);
  model->setVisibility(llvm::GlobalValue::ProtectedVisibility);
}

//===----------------------------------------------------------------------===//
// Header
//===----------------------------------------------------------------------===//

/// A C identifier made of `name`, not in `taken`; added to it.
static std::string makeIdentifier(StringRef name, llvm::StringSet<> &taken) {
  static const char *const keywords[] = {
      "auto",     "break",   "case",     "char",   "const",    "continue",
      "default",  "do",      "double",   "else",   "enum",     "extern",
      "float",    "for",     "goto",     "if",     "inline",   "int",
      "long",     "register", "restrict", "return", "short",   "signed",
      "sizeof",   "static",  "struct",   "switch", "typedef",  "union",
      "unsigned", "void",    "volatile", "while",  "class",    "new",
      "delete",   "this",    "template", "and",    "or",       "not",
      "context",  "inputs",  "outputs",  "bool",   "true",     "false"};
  std::string id;
  for (char c : name)
    id += llvm::isAlnum(c) ? c : '_';
  if (id.empty() || llvm::isDigit(id[0]))
    id = "_" + id;
  for (const char *keyword : keywords)
    if (id == keyword)
      id += '_';
  std::string unique = id;
  for (unsigned n = 1; !taken.insert(unique).second; ++n)
    unique = id + "_" + std::to_string(n);
  return unique;
}

namespace {
/// Writes a size as a C expression.
struct CExpression : SizeExpr::Visitor {
  CExpression(const ImageEntry &entry, ArrayRef<std::string> names)
      : entry(entry), names(names) {}
  void constant(int64_t value) override {
    stack.push_back("INT64_C(" + std::to_string(value) + ")");
  }
  void symbol(StringRef name) override {
    stack.push_back(names[entry.findSymbol(name)]);
  }
  void binary(StringRef op) override {
    std::string rhs = stack.pop_back_val(), lhs = stack.pop_back_val();
    if (op == "+" || op == "*")
      stack.push_back("(" + lhs + " " + op.str() + " " + rhs + ")");
    else
      stack.push_back("hr_size_" + op.str() + "(" + lhs + ", " + rhs + ")");
  }
  const ImageEntry &entry;
  ArrayRef<std::string> names;
  SmallVector<std::string> stack;
};
} // namespace

static void writeTensors(llvm::raw_ostream &os, const ImageEntry &entry,
                         ArrayRef<ImagePort> ports,
                         ArrayRef<std::string> names,
                         ArrayRef<std::string> symbols, StringRef variable) {
  for (auto [i, port] : llvm::enumerate(ports)) {
    os << "  int64_t " << variable << "_shape" << i << "[] = {";
    for (const SizeExpr &dim : port.dims) {
      CExpression expression(entry, symbols);
      dim.visit(expression);
      os << expression.stack.front() << ", ";
    }
    os << "0};\n";
  }
  os << "  DLTensor " << variable << "[" << std::max<size_t>(ports.size(), 1)
     << "] = {\n";
  for (auto [i, port] : llvm::enumerate(ports))
    os << "      {(void *)" << names[i] << ", {kDLCPU, 0}, "
       << port.dims.size() << ", {" << unsigned(getElementInfo(port)->code)
       << ", " << getElementBytes(port.elementType) * 8 << ", 1}, " << variable
       << "_shape" << i << ", 0, 0},\n";
  if (ports.empty())
    os << "      {0, {kDLCPU, 0}, 0, {0, 0, 0}, 0, 0, 0}";
  os << "  };\n";
}

std::string headrace::writeHeader(const Image &image) {
  std::string text;
  llvm::raw_string_ostream os(text);
  std::string guard = "HR_MODEL_" + StringRef(image.name).upper() + "_H";
  os << "/* " << image.name << ": generated by " << image.producer
     << "; link with the object beside it. */\n"
     << "#ifndef " << guard << "\n#define " << guard << "\n\n"
     << "#include \"headrace/Runtime/headrace.h\"\n\n"
     << "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
     << "extern const hr_table hr_model_" << image.name << ";\n\n"
     << "#ifndef HR_SIZE_FUNCTIONS\n#define HR_SIZE_FUNCTIONS\n"
     << "static inline int64_t hr_size_floordiv(int64_t a, int64_t b) {\n"
     << "  return a / b - (a % b != 0 && (a < 0) != (b < 0));\n}\n"
     << "static inline int64_t hr_size_mod(int64_t a, int64_t b) {\n"
     << "  return a - hr_size_floordiv(a, b) * b;\n}\n"
     << "static inline int64_t hr_size_min(int64_t a, int64_t b) {\n"
     << "  return a < b ? a : b;\n}\n"
     << "static inline int64_t hr_size_max(int64_t a, int64_t b) {\n"
     << "  return a > b ? a : b;\n}\n#endif\n";
  llvm::StringSet<> functions;
  for (auto [number, entry] : llvm::enumerate(image.entries)) {
    llvm::StringSet<> taken;
    std::vector<std::string> symbols, inputs, outputs;
    for (const ImageSymbol &symbol : entry.symbols)
      symbols.push_back(makeIdentifier(symbol.name, taken));
    for (const ImagePort &port : entry.inputs)
      inputs.push_back(makeIdentifier(port.name, taken));
    for (const ImagePort &port : entry.outputs)
      outputs.push_back(makeIdentifier(port.name, taken));

    os << "\n/* Entry '" << entry.name << "'.\n";
    auto comment = [&](const ImagePort &port, StringRef name) {
      os << "     " << name << ": " << getElementInfo(port)->name << " [";
      llvm::interleaveComma(port.dims, os,
                            [&](const SizeExpr &dim) { os << dim.str(); });
      os << "]\n";
    };
    for (auto [port, name] : llvm::zip(entry.inputs, inputs))
      comment(port, name);
    os << "   gives\n";
    for (auto [port, name] : llvm::zip(entry.outputs, outputs))
      comment(port, name);
    os << "   Returns HR_OK or an error; the message is in the context. */\n";
    os << "static inline int "
       << makeIdentifier(image.name + "_" + entry.name, functions)
       << "(\n    hr_context *context";
    for (const std::string &symbol : symbols)
      os << ", int64_t " << symbol;
    for (auto [port, name] : llvm::zip(entry.inputs, inputs))
      os << ",\n    const " << getElementInfo(port)->cType << " *" << name;
    for (auto [port, name] : llvm::zip(entry.outputs, outputs))
      os << ",\n    " << getElementInfo(port)->cType << " *" << name;
    os << ") {\n";
    writeTensors(os, entry, entry.inputs, inputs, symbols, "inputs");
    writeTensors(os, entry, entry.outputs, outputs, symbols, "outputs");
    os << "  return hr_model_" << image.name << ".run(context, " << number
       << ", inputs, " << entry.inputs.size() << ", outputs, "
       << entry.outputs.size() << ");\n}\n";
  }
  os << "\n#ifdef __cplusplus\n}\n#endif\n#endif /* " << guard << " */\n";
  return text;
}
