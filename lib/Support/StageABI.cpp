//===- StageABI.cpp - What stage functions may call -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Target/StageABI.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace headrace;

/// The user's line: the first file location, looked for from the outside in.
static std::string getUserLine(Location location) {
  std::string text;
  location->walk([&](Location inner) {
    auto file = dyn_cast<FileLineColLoc>(inner);
    if (!file)
      return WalkResult::advance();
    text = (file.getFilename().getValue() + ":" + Twine(file.getLine())).str();
    return WalkResult::interrupt();
  });
  return text.empty() ? "unknown line" : text;
}

int64_t headrace::getSite(ModuleOp module, StringRef what, Location location) {
  Builder builder(module.getContext());
  Attribute site = builder.getArrayAttr(
      {builder.getStringAttr(what),
       builder.getStringAttr(getUserLine(location))});
  SmallVector<Attribute> sites;
  if (auto present = module->getAttrOfType<ArrayAttr>(sitesAttribute))
    llvm::append_range(sites, present);
  for (auto [i, other] : llvm::enumerate(sites))
    if (other == site)
      return static_cast<int64_t>(i);
  sites.push_back(site);
  module->setAttr(sitesAttribute, builder.getArrayAttr(sites));
  return static_cast<int64_t>(sites.size()) - 1;
}

void headrace::createIndexError(OpBuilder &builder, Location location,
                                ModuleOp module, Value context, int64_t site,
                                Value index, Value bound) {
  Type i64 = builder.getI64Type();
  if (!module.lookupSymbol(indexErrorFunction)) {
    OpBuilder atModule = OpBuilder::atBlockEnd(module.getBody());
    auto declaration = func::FuncOp::create(
        atModule, module.getLoc(), indexErrorFunction,
        builder.getFunctionType({context.getType(), i64, i64, i64}, {}));
    declaration.setPrivate();
  }
  auto toI64 = [&](Value value) -> Value {
    if (value.getType() == i64)
      return value;
    return arith::IndexCastOp::create(builder, location, i64, value);
  };
  Value number =
      arith::ConstantOp::create(builder, location, builder.getI64IntegerAttr(site));
  func::CallOp::create(
      builder, location, indexErrorFunction, TypeRange(),
      ValueRange{context, number, toI64(index), toI64(bound)});
}
