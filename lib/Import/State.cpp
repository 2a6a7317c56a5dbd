//===- State.cpp - Weights that the program writes to ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Import/State.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace headrace;

LogicalResult headrace::makeStates(ModuleOp module, ArrayRef<StringRef> names,
                                   Location loc) {
  WeightStore &store = module.getContext()
                           ->getOrLoadDialect<hr::HRDialect>()
                           ->getWeights();
  llvm::StringMap<StringAttr> weightOf;
  SmallVector<hr::WeightOp> declared(module.getOps<hr::WeightOp>());
  llvm::StringMap<hr::WeightOp> byName;
  for (hr::WeightOp op : declared)
    byName[op.getSymName()] = op;

  OpBuilder builder(module.getContext());
  llvm::StringSet<> made;
  for (StringRef name : names) {
    hr::WeightOp weight = byName.lookup(name);
    if (!weight || !made.insert(name).second)
      continue;
    // There is no data where a pass is run on the text of a module alone.
    const WeightStore::Entry *entry = store.lookup(name);
    for (hr::WeightOp other : declared) {
      const WeightStore::Entry *otherEntry =
          other == weight ? nullptr : store.lookup(other.getSymName());
      if (entry && otherEntry && otherEntry->storage == entry->storage)
        return emitError(loc)
               << "buffer '" << name << "' is written to, but shares its "
               << "storage with '" << other.getSymName()
               << "', which is not supported";
    }
    FailureOr<WeightStore::Bytes> bytes = store.read(name);
    bool isZero = succeeded(bytes) && llvm::all_of(bytes->data, [](char c) {
                    return c == 0;
                  });
    builder.setInsertionPoint(weight);
    FlatSymbolRefAttr initial;
    std::string stateName = name.str();
    if (!isZero) {
      std::string initialName = store.uniqueName(stateName + ".initial");
      if (entry)
        store.add(initialName, WeightStore::Entry(*entry));
      auto renamed = hr::WeightOp::create(builder, weight.getLoc(), initialName,
                                          weight.getType());
      initial = FlatSymbolRefAttr::get(renamed.getSymNameAttr());
    }
    auto state = hr::StateOp::create(builder, weight.getLoc(), stateName,
                                     weight.getType(), initial);
    state->setDiscardableAttrs(weight->getDiscardableAttrDictionary());
    store.erase(stateName);
    weight.erase();
    llvm::erase(declared, weight);
    byName.erase(stateName);
  }

  SmallVector<hr::ConstantOp> reads;
  module.walk([&](hr::ConstantOp op) {
    if (op.getWeights().size() == 1 &&
        made.contains(
            cast<FlatSymbolRefAttr>(op.getWeights()[0]).getValue()))
      reads.push_back(op);
  });
  for (hr::ConstantOp op : reads) {
    builder.setInsertionPoint(op);
    auto read = hr::ReadStateOp::create(builder, op.getLoc(), op.getType(),
                                        op.getWeights(), Value());
    read->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    op.replaceAllUsesWith(read.getResult());
    op.erase();
  }
  return success();
}
