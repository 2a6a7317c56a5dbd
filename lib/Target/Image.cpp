//===- Image.cpp - The tables of an artifact ------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The constants that the runtime reads, and the numbers of CPU features, by
// which it checks the machine.
//
//===----------------------------------------------------------------------===//
#include "Image.h"
#include "ImageElements.h"
#include "headrace/Runtime/Layout.h"
#include "headrace/Runtime/Rename.h"
#include "headrace/Runtime/headrace.h"
#include "headrace/Support/WeightStore.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/GlobalVariable.h"

using namespace mlir;
using namespace headrace;

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
      global =
          define(llvm::ConstantDataArray::getString(context, text), ".str");
      global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
      global->setAlignment(llvm::Align(1));
    }
    return global;
  }
  llvm::Constant *record(ArrayRef<llvm::Constant *> fields) {
    return llvm::ConstantStruct::getAnon(context, fields);
  }
  /// A pointer to an array; null if it is empty.
  llvm::Constant *array(ArrayRef<llvm::Constant *> elements,
                        const Twine &name) {
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
