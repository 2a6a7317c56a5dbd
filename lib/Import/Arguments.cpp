//===- Arguments.cpp - Arguments of a node as attributes ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Graph.h"
#include "SerializedTypes.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace headrace;
using llvm::json::Array;
using llvm::json::Object;
using JsonValue = llvm::json::Value;

namespace headrace {
class ArgumentImporter {
public:
  ArgumentImporter(GraphImporter &importer, std::string what,
                   SmallVectorImpl<Value> &inputs,
                   SmallVectorImpl<const Object *> *graphs)
      : importer(importer), reader(importer.reader), b(importer.builder),
        what(std::move(what)), inputs(inputs), graphs(graphs) {}

  FailureOr<Attribute> run(const JsonValue *argument);

private:
  FailureOr<Attribute> importList(StringRef kind, const JsonValue &value);
  FailureOr<Attribute> importElement(StringRef kind, const JsonValue &value);
  FailureOr<Attribute> importOptional(const JsonValue &value);
  FailureOr<Attribute> importDType(const JsonValue &value);
  FailureOr<Attribute> importDevice(const JsonValue &value);
  FailureOr<Attribute> importComplex(const JsonValue &value);
  FailureOr<Attribute> importGraph(const JsonValue &value);
  /// A number that `symbolize` knows, as what `get` makes of it.
  template <typename SymbolizeT, typename GetT>
  FailureOr<Attribute> importEnum(const JsonValue &value, StringRef kind,
                                  SymbolizeT symbolize, GetT get) {
    FailureOr<int64_t> number = reader.integer(&value, what);
    if (failed(number))
      return failure();
    auto known = *number >= 0 && *number < 1000
                     ? symbolize(static_cast<uint32_t>(*number))
                     : std::nullopt;
    if (!known)
      return reader.error(what) << ": " << kind << " " << *number
                                << " is not known";
    return Attribute(get(b.getContext(), *known));
  }
  /// What `read` gives, as `make` of it.
  template <typename T, typename MakeT>
  static FailureOr<Attribute> wrap(FailureOr<T> read, MakeT make) {
    if (failed(read))
      return failure();
    return Attribute(make(*read));
  }

  GraphImporter &importer;
  JsonReader &reader;
  OpBuilder &b;
  std::string what;
  SmallVectorImpl<Value> &inputs;
  SmallVectorImpl<const Object *> *graphs;
};
} // namespace headrace

FailureOr<Attribute> GraphImporter::importArgument(
    const JsonValue *argument, const Twine &what,
    SmallVectorImpl<Value> &inputs, SmallVectorImpl<const Object *> *graphs) {
  return ArgumentImporter(*this, what.str(), inputs, graphs).run(argument);
}

/// The kind of the elements of a list; empty if `kind` is none.
static StringRef getElementKind(StringRef kind) {
  return llvm::StringSwitch<StringRef>(kind)
      .Case("as_tensors", "as_tensor")
      .Case("as_optional_tensors", "as_optional_tensor")
      .Case("as_ints", "as_int")
      .Case("as_floats", "as_float")
      .Case("as_bools", "as_bool")
      .Case("as_strings", "as_string")
      .Case("as_sym_ints", "as_sym_int")
      .Case("as_sym_floats", "as_sym_float")
      .Case("as_sym_bools", "as_sym_bool")
      .Default("");
}

FailureOr<Attribute> ArgumentImporter::run(const JsonValue *argument) {
  JsonReader::Union arg = reader.unionOf(argument, what);
  if (!arg)
    return failure();
  StringRef element = getElementKind(arg.kind);
  return element.empty() ? importElement(arg.kind, *arg.value)
                         : importList(element, *arg.value);
}

FailureOr<Attribute> ArgumentImporter::importList(StringRef kind,
                                                  const JsonValue &value) {
  const Array *list = reader.array(&value, what);
  if (!list)
    return failure();
  SmallVector<Attribute> elements;
  elements.reserve(list->size());
  for (const JsonValue &one : *list) {
    FailureOr<Attribute> element = importElement(kind, one);
    if (failed(element))
      return failure();
    elements.push_back(*element);
  }
  return Attribute(b.getArrayAttr(elements));
}

FailureOr<Attribute> ArgumentImporter::importElement(StringRef kind,
                                                     const JsonValue &value) {
  MLIRContext *context = b.getContext();
  if (kind == "as_none")
    return Attribute(aten::NoneAttr::get(context));
  if (kind == "as_tensor")
    return importer.importTensor(&value, what, inputs);
  if (kind == "as_optional_tensor")
    return importOptional(value);
  if (kind == "as_int")
    return wrap(reader.integer(&value, what),
                [&](int64_t number) { return b.getI64IntegerAttr(number); });
  if (kind == "as_float")
    return wrap(reader.number(&value, what),
                [&](double number) { return b.getF64FloatAttr(number); });
  if (kind == "as_bool")
    return wrap(reader.boolean(&value, what),
                [&](bool boolean) { return b.getBoolAttr(boolean); });
  if (kind == "as_string" || kind == "as_operator")
    return wrap(reader.string(&value, what),
                [&](StringRef text) { return b.getStringAttr(text); });
  if (kind == "as_sym_int" || kind == "as_sym_float" || kind == "as_sym_bool")
    return importer.importSymbolic(&value, what);
  if (kind == "as_scalar_type")
    return importDType(value);
  if (kind == "as_memory_format")
    return importEnum(
        value, "memory format",
        [](uint32_t v) { return aten::symbolizeMemoryFormat(v); },
        [](auto... v) { return aten::MemoryFormatAttr::get(v...); });
  if (kind == "as_layout")
    return importEnum(
        value, "layout",
        [](uint32_t v) { return aten::symbolizeTorchLayout(v); },
        [](auto... v) { return aten::TorchLayoutAttr::get(v...); });
  if (kind == "as_device")
    return importDevice(value);
  if (kind == "as_complex")
    return importComplex(value);
  if (kind == "as_graph" && graphs)
    return importGraph(value);
  return reader.error(what) << ": an argument of kind '" << printable(kind)
                            << "' is not supported";
}

FailureOr<Attribute> ArgumentImporter::importOptional(const JsonValue &value) {
  JsonReader::Union element = reader.unionOf(&value, what);
  if (!element)
    return failure();
  if (element.kind == "as_none")
    return Attribute(aten::NoneAttr::get(b.getContext()));
  if (element.kind != "as_tensor")
    return reader.error(what) << ": expected a tensor or None but got '"
                              << printable(element.kind) << "'";
  return importer.importTensor(element.value, what, inputs);
}

FailureOr<Attribute> ArgumentImporter::importDType(const JsonValue &value) {
  FailureOr<int64_t> dtype = reader.integer(&value, what);
  if (failed(dtype))
    return failure();
  Type type = getElementType(b.getContext(), *dtype);
  if (!type)
    return reader.error(what) << ": dtype " << *dtype << " is not known";
  return Attribute(TypeAttr::get(type));
}

FailureOr<Attribute> ArgumentImporter::importDevice(const JsonValue &value) {
  return wrap(readDevice(reader, &value, what), [&](const std::string &name) {
    return aten::DeviceAttr::get(b.getContext(), name);
  });
}

FailureOr<Attribute> ArgumentImporter::importComplex(const JsonValue &value) {
  const Object *fields = reader.object(&value, what);
  if (!fields)
    return failure();
  FailureOr<double> real = reader.number(fields->get("real"), what);
  FailureOr<double> imag = reader.number(fields->get("imag"), what);
  if (failed(real) || failed(imag))
    return failure();
  return Attribute(aten::ComplexAttr::get(b.getContext(),
                                          b.getF64FloatAttr(*real),
                                          b.getF64FloatAttr(*imag)));
}

FailureOr<Attribute> ArgumentImporter::importGraph(const JsonValue &value) {
  const Object *fields = reader.object(&value, what);
  const Object *graph =
      fields ? reader.object(fields->get("graph"), what) : nullptr;
  if (!graph)
    return failure();
  graphs->push_back(graph);
  return Attribute(aten::RegionAttr::get(b.getContext(), graphs->size() - 1));
}
