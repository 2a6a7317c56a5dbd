//===- Obstacles.cpp - What a program needs that is not there -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/Aten/Obstacles.h"
#include "mlir/IR/Builders.h"
#include <algorithm>

using namespace mlir;
using namespace headrace;
using namespace headrace::aten;

static constexpr StringLiteral kAttr = "aten.obstacles";

static constexpr StringLiteral kDecomposed[] = {
#define DECOMPOSED(NAME) NAME,
#include "Decompositions.inc"
#undef DECOMPOSED
};

bool aten::isDecomposable(StringRef callee) {
  // Decomposing leaves no region that torch.autocast casts in.
  return callee == "wrap_with_autocast" ||
         std::binary_search(std::begin(kDecomposed), std::end(kDecomposed),
                            callee);
}

void Obstacles::add(StringRef callee, StringRef reason, Location loc,
                    unsigned count) {
  auto [it, isNew] =
      found.insert({{callee.str(), reason.str()}, {loc, 0}});
  it->second.count += count;
}

std::string Obstacles::getText(const Key &key, const Uses &uses) {
  const auto &[callee, reason] = key;
  if (callee.empty())
    return reason;
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "unsupported " << (reason.empty() ? "" : "use of ") << "operator "
     << callee << " (" << uses.count
     << (uses.count == 1 ? " use" : " uses, first");
  Location user = getUserLocation(uses.first);
  if (auto line = dyn_cast<FileLineColLoc>(user))
    os << " at " << line.getFilename().getValue() << ":" << line.getLine();
  os << ")";
  if (!reason.empty())
    os << ": " << reason;
  else if (isDecomposable(callee))
    os << "; torch may write it as others: save "
          "exported_program.run_decompositions()";
  return text;
}

void Obstacles::report(ModuleOp module) const {
  if (found.size() == 1) {
    const auto &[key, uses] = *found.begin();
    emitError(uses.first) << getText(key, uses);
    return;
  }
  bool hasOthers = llvm::any_of(found, [](const auto &entry) {
    return entry.first.first.empty();
  });
  InFlightDiagnostic diagnostic =
      emitError(found.begin()->second.first)
      << found.size()
      << (hasOthers ? " obstacles: operators, uses of operators, sizes or "
                      "types that are not supported"
                    : " unsupported operators or uses of operators");
  for (const auto &[key, uses] : found)
    diagnostic.attachNote(uses.first) << getText(key, uses);
}

void Obstacles::leave(ModuleOp module) const {
  if (found.empty())
    return;
  Builder b(module.getContext());
  SmallVector<Attribute> rows;
  for (const auto &[key, uses] : found)
    rows.push_back(b.getArrayAttr({b.getStringAttr(key.first),
                                   b.getStringAttr(key.second),
                                   b.getI64IntegerAttr(uses.count),
                                   LocationAttr(uses.first)}));
  module->setAttr(kAttr, b.getArrayAttr(rows));
}

bool Obstacles::hasAny(ModuleOp module) { return module->hasAttr(kAttr); }

void Obstacles::take(ModuleOp module) {
  auto rows = module->getAttrOfType<ArrayAttr>(kAttr);
  if (!rows)
    return;
  for (auto row : rows.getAsRange<ArrayAttr>())
    if (row.size() == 4 && isa<StringAttr>(row[0]) && isa<StringAttr>(row[1]) &&
        isa<IntegerAttr>(row[2]) && isa<LocationAttr>(row[3]))
      add(cast<StringAttr>(row[0]), cast<StringAttr>(row[1]),
          cast<LocationAttr>(row[3]), cast<IntegerAttr>(row[2]).getInt());
  module->removeAttr(kAttr);
}
