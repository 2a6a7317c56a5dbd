//===- WeightsFile.cpp - Weights beside an .mlir file ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes and maps safetensors files.
//
//===----------------------------------------------------------------------===//
#include "headrace/Driver/WeightsFile.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Support/OutputStream.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace headrace;
using llvm::Error;

static Error makeError(const Twine &text) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), text);
}

/// The format's name of an element type; empty if it has none.
static StringRef getDtypeName(Type type) {
  if (type.isF64())
    return "F64";
  if (type.isF32())
    return "F32";
  if (type.isF16())
    return "F16";
  if (type.isBF16())
    return "BF16";
  switch (type.isInteger() ? type.getIntOrFloatBitWidth() : 0) {
  case 1:
    return "BOOL";
  case 8:
    return "I8";
  case 16:
    return "I16";
  case 32:
    return "I32";
  case 64:
    return "I64";
  default:
    return "";
  }
}

static uint64_t getByteSize(RankedTensorType type) {
  return static_cast<uint64_t>(type.getNumElements()) *
         getElementBytes(type.getElementType());
}

LogicalResult headrace::writeWeightsFile(ModuleOp module, OutputFile &file,
                                         std::string &error) {
  WeightStore &store =
      module.getContext()->getOrLoadDialect<hr::HRDialect>()->getWeights();
  SmallVector<hr::WeightOp> weights(module.getOps<hr::WeightOp>());
  llvm::json::Object header;
  uint64_t offset = 0;
  for (hr::WeightOp weight : weights) {
    auto type = cast<RankedTensorType>(weight.getType());
    StringRef dtype = getDtypeName(type.getElementType());
    if (dtype.empty()) {
      error = ("cannot write '" + file.getPath() + "': weight '" +
               weight.getSymName() +
               "' has an element type that no weights file holds")
                  .str();
      return failure();
    }
    uint64_t end = offset + getByteSize(type);
    header[weight.getSymName()] = llvm::json::Object{
        {"dtype", dtype},
        {"shape", llvm::json::Array(type.getShape())},
        {"data_offsets", llvm::json::Array{offset, end}}};
    offset = end;
  }
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(header));
  // The bytes begin at a multiple of 64, so that mapped weights are aligned.
  text.resize(llvm::alignTo(text.size() + 8, 64) - 8, ' ');

  auto write = [&](raw_ostream &os, std::string &error) -> LogicalResult {
    char length[8];
    llvm::support::endian::write64le(length, text.size());
    os.write(length, 8);
    os << text;
    for (hr::WeightOp weight : weights) {
      auto bytes = store.read(weight.getSymName());
      if (failed(bytes)) {
        error = ("weight '" + weight.getSymName() + "' has no bytes").str();
        return failure();
      }
      os.write(bytes->data.data(), bytes->data.size());
    }
    return success();
  };
  return writeTo(file, write, error);
}

Error headrace::readWeightsFile(ModuleOp module, StringRef path) {
  auto bad = [&](const Twine &why) {
    return makeError("weights file " + path + ": " + why);
  };
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (!file)
    return bad(file.getError().message());
  std::shared_ptr<llvm::MemoryBuffer> buffer = std::move(*file);
  StringRef bytes = buffer->getBuffer();
  if (bytes.size() < 8)
    return bad("shorter than its header's length");
  uint64_t headerSize = llvm::support::endian::read64le(bytes.data());
  if (headerSize > bytes.size() - 8)
    return bad("header of " + Twine(headerSize) + " bytes in a file of " +
               Twine(bytes.size()));
  StringRef text = bytes.substr(8, headerSize);
  StringRef data = bytes.substr(8 + headerSize);
  // LLVM's parser recurses; a header nests three deep.
  int depth = 0;
  for (char c : text) {
    depth += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
    if (depth > 64)
      return bad("header nests too deep");
  }
  auto header = llvm::json::parse(text);
  if (!header)
    return bad(llvm::toString(header.takeError()));
  llvm::json::Object *object = header->getAsObject();
  if (!object)
    return bad("header is not an object");

  auto storage = std::make_shared<Storage>();
  storage->bytes = ArrayRef<char>(data.data(), data.size());
  storage->owner = buffer;
  WeightStore &store =
      module.getContext()->getOrLoadDialect<hr::HRDialect>()->getWeights();
  for (hr::WeightOp weight : module.getOps<hr::WeightOp>()) {
    StringRef name = weight.getSymName();
    llvm::json::Object *entry = object->getObject(name);
    if (!entry)
      continue;
    auto type = cast<RankedTensorType>(weight.getType());
    StringRef dtype = entry->getString("dtype").value_or("");
    llvm::json::Array *shape = entry->getArray("shape");
    bool sameShape = shape && shape->size() == size_t(type.getRank());
    for (int64_t d = 0; sameShape && d < type.getRank(); ++d)
      sameShape = (*shape)[d].getAsInteger() == type.getDimSize(d);
    if (dtype != getDtypeName(type.getElementType()) || !sameShape)
      return bad("weight '" + name + "' is not the type that the module says");
    llvm::json::Array *offsets = entry->getArray("data_offsets");
    std::optional<int64_t> begin, end;
    if (offsets && offsets->size() == 2) {
      begin = (*offsets)[0].getAsInteger();
      end = (*offsets)[1].getAsInteger();
    }
    if (!begin || !end || *begin < 0 || *end < *begin ||
        uint64_t(*end) > data.size() ||
        uint64_t(*end - *begin) != getByteSize(type))
      return bad("weight '" + name + "' does not lie in the file");
    int64_t elementBytes = getElementBytes(type.getElementType());
    WeightStore::Entry window;
    window.type = type;
    window.strides.assign(type.getRank(), 1);
    for (int64_t d = type.getRank() - 2; d >= 0; --d)
      window.strides[d] = window.strides[d + 1] * type.getDimSize(d + 1);
    if (*begin % elementBytes != 0) {
      store.addOwned(name, type,
                     std::vector<char>(data.begin() + *begin,
                                       data.begin() + *end));
      continue;
    }
    window.storage = storage;
    window.offset = *begin / elementBytes;
    store.add(name, std::move(window));
  }
  return Error::success();
}
