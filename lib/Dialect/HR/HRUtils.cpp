//===- HRUtils.cpp - Questions and small helpers on the hr level ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Dialect/HR/HRUtils.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace headrace;

SmallVector<SizeExpr> hr::getSizes(ArrayAttr sizes) {
  return llvm::map_to_vector(sizes, [](Attribute attr) {
    return cast<SizeAttr>(attr).getExpr();
  });
}

ArrayAttr hr::getSiteAttr(Location loc, StringRef what, StringRef message,
                          bool ranged) {
  std::string where = "unknown location";
  loc->walk([&](Location at) {
    if (auto file = dyn_cast<FileLineColLoc>(at)) {
      where =
          (file.getFilename().getValue() + ":" + Twine(file.getLine())).str();
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  Builder b(loc.getContext());
  return b.getArrayAttr({b.getStringAttr(what), b.getStringAttr(where),
                         b.getStringAttr(message), b.getBoolAttr(ranged)});
}

ArrayAttr hr::getSizeArrayAttr(MLIRContext *context,
                               ArrayRef<SizeExpr> sizes) {
  return ArrayAttr::get(context, llvm::map_to_vector(
                                     sizes, [&](const SizeExpr &size) {
                                       return Attribute(
                                           SizeAttr::get(context, size));
                                     }));
}

SmallVector<int64_t> hr::getStaticShape(ArrayRef<SizeExpr> sizes) {
  return llvm::map_to_vector(sizes, [](const SizeExpr &size) {
    return size.getConstant().value_or(ShapedType::kDynamic);
  });
}

FailureOr<SizeExpr> hr::getSize(Value index) {
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant)))
    return SizeExpr(constant.getSExtValue());
  Operation *op = index.getDefiningOp();
  if (!op)
    return failure();
  if (auto size = dyn_cast<SizeOp>(op))
    return size.getSize().getExpr();
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(dim.getSource());
    std::optional<int64_t> at = dim.getConstantIndex();
    if (failed(dims) || !at || *at >= static_cast<int64_t>(dims->size()))
      return failure();
    return (*dims)[*at];
  }
  return failure();
}

FailureOr<SmallVector<SizeExpr>> hr::getDims(Value tensor) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type)
    return failure();
  if (type.hasStaticShape())
    return llvm::map_to_vector(type.getShape(), [](int64_t size) {
      return SizeExpr(size);
    });

  if (auto arg = dyn_cast<BlockArgument>(tensor)) {
    Operation *parent = arg.getOwner()->getParentOp();
    if (auto func = dyn_cast<func::FuncOp>(parent)) {
      auto dims = func.getArgAttrOfType<ArrayAttr>(arg.getArgNumber(),
                                                   "hr.dims");
      if (!dims)
        return failure();
      return getSizes(dims);
    }
    if (auto repeat = dyn_cast<RepeatOp>(parent)) {
      if (arg.getArgNumber() == 0)
        return failure();
      return hr::getDims(repeat.getInits()[arg.getArgNumber() - 1]);
    }
    if (auto stage = dyn_cast<StageOp>(parent))
      return hr::getDims(stage.getInputs()[arg.getArgNumber()]);
    return failure();
  }

  Operation *op = tensor.getDefiningOp();
  if (auto dims = op->getAttrOfType<ArrayAttr>("dims"))
    return getSizes(dims);
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return hr::getDims(linalgOp.getDpsInitOperand(
        cast<OpResult>(tensor).getResultNumber())->get());
  if (auto empty = dyn_cast<tensor::EmptyOp>(op)) {
    SmallVector<SizeExpr> sizes;
    for (OpFoldResult size : empty.getMixedSizes()) {
      if (auto attr = dyn_cast<Attribute>(size)) {
        sizes.push_back(cast<IntegerAttr>(attr).getInt());
        continue;
      }
      FailureOr<SizeExpr> expr = getSize(cast<Value>(size));
      if (failed(expr))
        return failure();
      sizes.push_back(*expr);
    }
    return sizes;
  }
  if (auto update = dyn_cast<UpdateOp>(op))
    return hr::getDims(update.getBase());
  if (auto scatter = dyn_cast<ScatterOp>(op))
    return hr::getDims(scatter.getBase());
  if (auto scan = dyn_cast<ScanOp>(op))
    return hr::getDims(scan.getSource());
  if (auto sort = dyn_cast<SortOp>(op))
    return hr::getDims(sort.getSource());
  unsigned number = cast<OpResult>(tensor).getResultNumber();
  if (auto repeat = dyn_cast<RepeatOp>(op))
    return hr::getDims(repeat.getInits()[number]);
  if (auto stage = dyn_cast<StageOp>(op))
    return hr::getDims(
        stage.getBody().front().getTerminator()->getOperand(number));
  return failure();
}

bool hr::isEntry(func::FuncOp func) {
  return func.isPublic() && !func.isExternal();
}

SymbolRanges hr::getSymbolRanges(func::FuncOp entry) {
  SymbolRanges ranges;
  if (auto symbols = entry->getAttrOfType<ArrayAttr>("hr.symbols"))
    for (auto symbol : symbols.getAsRange<SymbolAttr>())
      ranges[symbol.getName()] = {symbol.getLeast(), symbol.getLargest()};
  return ranges;
}

SymbolRanges hr::getTracedRanges(func::FuncOp entry) {
  SymbolRanges ranges = getSymbolRanges(entry);
  if (auto traced = entry->getAttrOfType<ArrayAttr>("hr.traced"))
    for (auto symbol : traced.getAsRange<SymbolAttr>())
      ranges[symbol.getName()] = {symbol.getLeast(), symbol.getLargest()};
  return ranges;
}

SmallVector<StringRef> hr::getSymbolNames(func::FuncOp entry) {
  SmallVector<StringRef> names;
  if (auto symbols = entry->getAttrOfType<ArrayAttr>("hr.symbols"))
    for (auto symbol : symbols.getAsRange<SymbolAttr>())
      names.push_back(symbol.getName());
  return names;
}

SmallVector<SizeExpr> hr::getRequirements(func::FuncOp entry) {
  SmallVector<SizeExpr> conditions;
  if (auto required = entry->getAttrOfType<ArrayAttr>("hr.requires"))
    for (auto requirement : required.getAsRange<RequirementAttr>())
      conditions.push_back(requirement.getExpr());
  return conditions;
}

/// What the user calls dimension `d` of argument `index`.
static std::string getDimName(func::FuncOp entry, unsigned index, size_t d) {
  if (auto names =
          entry.getArgAttrOfType<ArrayAttr>(index, "hr.dim_names");
      names && d < names.size())
    if (StringRef name = cast<StringAttr>(names[d]).getValue(); !name.empty())
      return name.str();
  auto name = entry.getArgAttrOfType<StringAttr>(index, "hr.name");
  return (name ? name.getValue().str() : "input" + std::to_string(index)) +
         ".shape[" + std::to_string(d) + "]";
}

hr::SizeNames::SizeNames(func::FuncOp entry) {
  // Plain symbols first: what one dimension is says most.
  for (bool plain : {true, false})
    for (unsigned i = 0; i < entry.getNumArguments(); ++i) {
      auto dims = entry.getArgAttrOfType<ArrayAttr>(i, "hr.dims");
      if (!dims)
        continue;
      for (auto [d, dim] : llvm::enumerate(getSizes(dims))) {
        if (dim.isConstant())
          continue;
        // A symbol by itself, or one that a dimension is a multiple of.
        SmallVector<StringRef> symbols;
        dim.walkSymbols([&](StringRef name) { symbols.push_back(name); });
        if (symbols.size() != 1 ||
            plain != (dim.getSymbol() == std::optional(symbols.front())))
          continue;
        SizeExpr name = SizeExpr::symbol(getDimName(entry, i, d));
        dimensions.try_emplace(dim.str(), name);
        SymbolBindings zero, one;
        zero[symbols.front()] = 0;
        one[symbols.front()] = 1;
        std::optional<int64_t> at0 = dim.evaluate(zero),
                               at1 = dim.evaluate(one);
        if (!at0 || !at1 || *at1 == *at0 ||
            dim != SizeExpr::symbol(symbols.front()) * SizeExpr(*at1 - *at0) +
                       SizeExpr(*at0))
          continue;
        names.try_emplace(symbols.front(), (name - SizeExpr(*at0))
                                               .floorDiv(*at1 - *at0));
      }
    }
}

std::string hr::SizeNames::str(const SizeExpr &size) const {
  auto known = dimensions.find(size.str());
  if (known != dimensions.end())
    return known->second.str();
  std::string text =
      size.substitute([&](StringRef name) -> std::optional<SizeExpr> {
            auto it = names.find(name);
            return it == names.end() ? std::nullopt : std::optional(it->second);
          })
          .str();
  // As Python writes it.
  for (auto [own, python] : {std::pair(" floordiv ", " // "),
                             std::pair(" mod ", " % ")})
    for (size_t at; (at = text.find(own)) != std::string::npos;)
      text.replace(at, strlen(own), python);
  return text;
}

Value hr::createSize(OpBuilder &builder, Location loc, const SizeExpr &size) {
  if (std::optional<int64_t> constant = size.getConstant())
    return arith::ConstantIndexOp::create(builder, loc, *constant);
  return SizeOp::create(builder, loc,
                        SizeAttr::get(builder.getContext(), size));
}

Value hr::createEmpty(OpBuilder &builder, Location loc,
                      ArrayRef<SizeExpr> sizes, Type elementType) {
  SmallVector<Value> dynamic;
  for (const SizeExpr &size : sizes)
    if (!size.isConstant())
      dynamic.push_back(createSize(builder, loc, size));
  return tensor::EmptyOp::create(builder, loc, getStaticShape(sizes),
                                 elementType, dynamic);
}

Value hr::createView(OpBuilder &builder, Location loc, Value source,
                     ArrayRef<SizeExpr> offsets, AffineMap map,
                     ArrayRef<SizeExpr> dims) {
  auto type = cast<RankedTensorType>(source.getType());
  MLIRContext *context = builder.getContext();
  return ViewOp::create(
      builder, loc,
      RankedTensorType::get(getStaticShape(dims), type.getElementType()),
      source, getSizeArrayAttr(context, offsets), AffineMapAttr::get(map),
      getSizeArrayAttr(context, dims));
}

namespace {
/// A stack machine that emits index arithmetic.
struct Materializer : SizeExpr::Visitor {
  OpBuilder &builder;
  Location loc;
  function_ref<Value(StringRef)> lookup;
  SmallVector<Value> stack;

  Materializer(OpBuilder &builder, Location loc,
               function_ref<Value(StringRef)> lookup)
      : builder(builder), loc(loc), lookup(lookup) {}

  void constant(int64_t value) override {
    stack.push_back(arith::ConstantIndexOp::create(builder, loc, value));
  }
  void symbol(StringRef name) override { stack.push_back(lookup(name)); }
  void binary(StringRef op) override {
    Value rhs = stack.pop_back_val();
    Value lhs = stack.pop_back_val();
    stack.push_back(combine(op, lhs, rhs));
  }
  Value combine(StringRef op, Value lhs, Value rhs) {
    if (op == "+")
      return arith::AddIOp::create(builder, loc, lhs, rhs);
    if (op == "*")
      return arith::MulIOp::create(builder, loc, lhs, rhs);
    if (op == "floordiv")
      return arith::FloorDivSIOp::create(builder, loc, lhs, rhs);
    if (op == "min")
      return arith::MinSIOp::create(builder, loc, lhs, rhs);
    if (op == "max")
      return arith::MaxSIOp::create(builder, loc, lhs, rhs);
    // Python's modulo: lhs - floordiv(lhs, rhs) * rhs.
    Value quotient = arith::FloorDivSIOp::create(builder, loc, lhs, rhs);
    Value product = arith::MulIOp::create(builder, loc, quotient, rhs);
    return arith::SubIOp::create(builder, loc, lhs, product);
  }
};
} // namespace

Value hr::materializeSize(OpBuilder &builder, Location loc,
                          const SizeExpr &size,
                          function_ref<Value(StringRef)> symbol) {
  Materializer machine(builder, loc, symbol);
  size.visit(machine);
  return machine.stack.back();
}
