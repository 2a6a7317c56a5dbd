//===- ImageSignature.cpp - The signature of an artifact ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What an artifact says of itself, as JSON.
//
//===----------------------------------------------------------------------===//
#include "Image.h"
#include "ImageElements.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Runtime/headrace.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace headrace;

static constexpr int64_t unbounded = std::numeric_limits<int64_t>::max();

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

/// A file's name; bytes that are no UTF-8 as U+DC80 to U+DCFF, as Python has
/// them.
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
