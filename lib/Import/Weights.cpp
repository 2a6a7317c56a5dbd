//===- Weights.cpp - Parameters, buffers and constants of an archive ------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A name of the signature is a window on a storage: an entry of the archive with
// sizes, strides and an offset. What is the same window of the same bytes is one
// weight, however many names it has.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"
#include "SerializedTypes.h"

using namespace mlir;
using namespace headrace;
using llvm::json::Array;
using llvm::json::Object;
using JsonValue = llvm::json::Value;

/// A weight may repeat bytes of its storage (by strides of 0) up to this size.
static constexpr int64_t kMaxExpandedBytes = 64 << 20;

/// Reads a list of constant sizes: `[{"as_int": 4}, ...]`.
static LogicalResult readConstantSizes(JsonReader &reader,
                                       const JsonValue *value,
                                       const Twine &twine,
                                       SmallVectorImpl<int64_t> &sizes) {
  std::string what = twine.str();
  const Array *list = reader.array(value, what);
  if (!list)
    return failure();
  if (list->size() > 64)
    return reader.error(what) << ": expected at most 64 dimensions but got "
                              << list->size();
  for (const JsonValue &element : *list) {
    JsonReader::Union size = reader.unionOf(&element, what);
    if (!size)
      return failure();
    if (size.kind != "as_int")
      return reader.error(what) << ": expected a constant";
    FailureOr<int64_t> number = reader.integer(size.value, what);
    if (failed(number))
      return failure();
    if (*number < 0)
      return reader.error(what) << ": " << *number << " is negative";
    sizes.push_back(*number);
  }
  return success();
}

/// The bytes of an entry, mapped once.
FailureOr<std::shared_ptr<const Storage>>
Importer::mapStorage(Program &program, JsonReader &reader, StringRef what,
                     StringRef entry) {
  std::shared_ptr<const Storage> &storage = program.storages[entry];
  if (storage)
    return storage;
  llvm::Expected<std::shared_ptr<const Storage>> mapped =
      program.archive->map(entry);
  if (!mapped) {
    program.storages.erase(entry);
    return reader.error(what) << ": " << llvm::toString(mapped.takeError());
  }
  storage = std::move(*mapped);
  // Misaligned data (no archive of torch's has any) is moved once.
  if (reinterpret_cast<uintptr_t>(storage->bytes.data()) % 16 != 0) {
    auto copy = std::make_shared<std::vector<char>>(storage->bytes.begin(),
                                                    storage->bytes.end());
    auto moved = std::make_shared<Storage>();
    moved->bytes = *copy;
    moved->owner = copy;
    storage = moved;
  }
  return storage;
}

/// The window on a storage that `fqn` names, and a text that tells windows
/// apart.
FailureOr<std::pair<std::string, WeightStore::Entry>>
Importer::readWindow(Program &program, JsonReader &reader, StringRef fqn) {
  std::string what = ("weight '" + fqn + "'").str();
  const Object *meta = nullptr;
  StringRef folder;
  for (auto [config, configFolder] :
       {std::pair(&program.weights, StringRef(program.weightsFolder)),
        std::pair(&program.constants, StringRef(program.constantsFolder))}) {
    const Object *table = config->getAsObject();
    const JsonValue *value = table ? table->get(fqn) : nullptr;
    if (!value)
      continue;
    if (!(meta = reader.object(value, what)))
      return failure();
    folder = configFolder;
    break;
  }
  if (!meta)
    return reader.error(what) << " is not in the archive";
  FailureOr<StringRef> path =
      reader.string(meta->get("path_name"), what + ".path_name");
  FailureOr<bool> isPickle =
      reader.boolean(meta->get("use_pickle"), what + ".use_pickle");
  if (failed(path) || failed(isPickle))
    return failure();
  if (*isPickle)
    return reader.error(what) << " is a pickle, which is not read because it "
                                 "could run any code";
  const Object *tensor =
      reader.object(meta->get("tensor_meta"), what + ".tensor_meta");
  if (!tensor)
    return failure();
  FailureOr<int64_t> dtype =
      reader.integer(tensor->get("dtype"), what + ".dtype");
  FailureOr<int64_t> layout =
      reader.integer(tensor->get("layout"), what + ".layout");
  SmallVector<int64_t> sizes, strides;
  if (failed(dtype) || failed(layout) ||
      failed(readDevice(reader, tensor->get("device"), what + ".device")) ||
      failed(readConstantSizes(reader, tensor->get("sizes"), what + ".sizes",
                               sizes)) ||
      failed(readConstantSizes(reader, tensor->get("strides"),
                               what + ".strides", strides)))
    return failure();
  JsonReader::Union offsetValue =
      reader.unionOf(tensor->get("storage_offset"), what + ".storage_offset");
  if (!offsetValue)
    return failure();
  FailureOr<int64_t> offset =
      reader.integer(offsetValue.value, what + ".storage_offset");
  if (failed(offset))
    return failure();
  Type elementType = getElementType(context, *dtype);
  if (!elementType)
    return reader.error(what) << ": dtype " << *dtype << " is not known";
  if (!isStridedLayout(*layout))
    return reader.error(what) << ": " << getLayoutName(*layout)
                              << " tensors are not supported";
  if (sizes.size() != strides.size())
    return reader.error(what) << ": expected " << sizes.size()
                              << " strides but got " << strides.size();
  if (*offset < 0)
    return reader.error(what) << ": storage offset " << *offset
                              << " is negative";

  std::string entryName = (folder + *path).str();
  FailureOr<std::shared_ptr<const Storage>> mapped =
      mapStorage(program, reader, what, entryName);
  if (failed(mapped))
    return failure();
  const std::shared_ptr<const Storage> &storage = *mapped;

  // The last element touched, in exact arithmetic: each product is below 2^126
  // and the sum is checked as it grows.
  int64_t elementBytes = getElementBytes(elementType);
  __int128 elements = 1, last = *offset;
  __int128 available = storage->bytes.size() / elementBytes;
  for (auto [size, stride] : llvm::zip_equal(sizes, strides)) {
    elements *= size;
    if (elements > std::numeric_limits<int64_t>::max() / 16)
      return reader.error(what) << " has more elements than can be addressed";
    if (size > 0)
      last += __int128(size - 1) * stride;
    if (last > std::numeric_limits<int64_t>::max())
      break;
  }
  bool isEmpty = llvm::is_contained(sizes, 0);
  if (!isEmpty && last >= available)
    return reader.error(what)
           << ": its sizes, strides and offset reach beyond the "
           << storage->bytes.size() << " bytes of '" << *path << "'";
  int64_t bytes = isEmpty ? 0 : static_cast<int64_t>(elements) * elementBytes;
  if (bytes > kMaxExpandedBytes &&
      bytes > static_cast<int64_t>(storage->bytes.size()))
    return reader.error(what) << " expands " << storage->bytes.size()
                              << " bytes to " << bytes
                              << ", which is not supported";

  std::string window = entryName + "|" + std::to_string(*dtype) + "|" +
                       std::to_string(*offset);
  for (auto [size, stride] : llvm::zip_equal(sizes, strides))
    window += "|" + std::to_string(size) + ":" + std::to_string(stride);
  WeightStore::Entry entry;
  entry.type = RankedTensorType::get(sizes, elementType);
  entry.storage = storage;
  entry.strides = strides;
  entry.offset = isEmpty ? 0 : *offset;
  return std::pair(std::move(window), std::move(entry));
}

FailureOr<hr::WeightOp> Importer::declareWeight(Program &program,
                                                JsonReader &reader,
                                                StringRef fqn) {
  auto known = program.declared.find(fqn);
  if (known != program.declared.end())
    return known->second;
  auto window = readWindow(program, reader, fqn);
  if (failed(window))
    return failure();
  auto &[key, entry] = *window;
  hr::WeightOp &weight = program.byWindow[key];
  if (!weight) {
    // The same weight of another entry?
    std::string name = fqn.str();
    if (const WeightStore::Entry *other = store.lookup(name);
        other && other->type == entry.type) {
      std::string candidate = store.uniqueName(name);
      store.add(candidate, entry);
      FailureOr<WeightStore::Bytes> a = store.read(name);
      FailureOr<WeightStore::Bytes> b = store.read(candidate);
      if (succeeded(a) && succeeded(b) && a->data == b->data)
        weight = module->lookupSymbol<hr::WeightOp>(name);
      store.erase(candidate);
    }
    if (!weight) {
      for (unsigned i = 1; isTaken(name); ++i)
        name = (fqn + "." + Twine(i)).str();
      // Declarations stay in the order of their first use.
      OpBuilder::InsertionGuard guard(builder);
      if (lastWeight)
        builder.setInsertionPointAfter(lastWeight);
      else
        builder.setInsertionPointToStart(module->getBody());
      lastWeight = weight = hr::WeightOp::create(builder, program.file, name, entry.type);
      symbols.insert(name);
      store.add(name, entry);
    }
  }
  program.declared[fqn] = weight;
  return weight;
}
