//===- SerializedTypes.cpp - Dtypes, layouts and devices in a file --------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers of torch's serialization schema, torch/_export/serde/schema.py.
//
//===----------------------------------------------------------------------===//
#include "SerializedTypes.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace headrace;
using llvm::json::Object;

Type headrace::getElementType(MLIRContext *context, int64_t dtype) {
  Builder b(context);
  switch (dtype) {
  case 1:
    return IntegerType::get(context, 8, IntegerType::Unsigned);
  case 2:
    return b.getIntegerType(8);
  case 3:
    return b.getIntegerType(16);
  case 4:
    return b.getI32Type();
  case 5:
    return b.getI64Type();
  case 6:
    return b.getF16Type();
  case 7:
    return b.getF32Type();
  case 8:
    return b.getF64Type();
  case 9:
    return ComplexType::get(b.getF16Type());
  case 10:
    return ComplexType::get(b.getF32Type());
  case 11:
    return ComplexType::get(b.getF64Type());
  case 12:
    return b.getI1Type();
  case 13:
    return b.getBF16Type();
  case 28:
    return IntegerType::get(context, 16, IntegerType::Unsigned);
  case 29:
    return Float8E4M3FNType::get(context);
  case 30:
    return Float8E5M2Type::get(context);
  case 31:
    return Float8E4M3FNUZType::get(context);
  case 32:
    return Float8E5M2FNUZType::get(context);
  case 33:
    return Float8E8M0FNUType::get(context);
  case 34:
    return IntegerType::get(context, 32, IntegerType::Unsigned);
  case 35:
    return IntegerType::get(context, 64, IntegerType::Unsigned);
  default:
    return {};
  }
}

bool headrace::isStridedLayout(int64_t layout) { return layout == 7; }

std::string headrace::getLayoutName(int64_t layout) {
  static constexpr StringRef names[] = {
      "",           "sparse COO", "sparse CSR", "sparse CSC",
      "sparse BSR", "sparse BSC", "oneDNN",     "strided"};
  if (layout > 0 && layout < int64_t(std::size(names)))
    return names[layout].str();
  return "layout " + std::to_string(layout);
}

std::string headrace::printable(StringRef text) {
  std::string result = text.take_front(4096).str();
  for (char &c : result)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      c = '?';
  return result;
}

/// The kinds of devices that torch has. Values are the same on all of them.
static bool isKnownDevice(StringRef type) {
  return llvm::StringSwitch<bool>(type)
      .Cases({"cpu", "cuda", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve",
              "fpga", "maia", "xla", "lazy", "vulkan"},
             true)
      .Cases({"mps", "meta", "hpu", "mtia", "xpu", "ipu", "privateuseone"},
             true)
      .Default(false);
}

FailureOr<std::string> headrace::readDevice(JsonReader &reader,
                                            const llvm::json::Value *value,
                                            const Twine &what) {
  const Object *device = reader.object(value, what);
  if (!device)
    return failure();
  FailureOr<StringRef> type = reader.string(device->get("type"), what);
  if (failed(type))
    return failure();
  if (!isKnownDevice(*type))
    return reader.error(what) << ": device '" << printable(*type)
                              << "' is not known";
  std::string name = type->str();
  if (std::optional<int64_t> number = device->getInteger("index"))
    name += ":" + std::to_string(*number);
  return name;
}
