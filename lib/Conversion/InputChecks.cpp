//===- InputChecks.cpp - Indices that are known before the call runs ------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stage finds a bad index when it gets there, and a state may have been
// written by then. So in an entry that writes state the call checks first, of
// all gathers and scatters, the indices that it is given as inputs. Only inputs
// of which every element is an index: a program may leave the others unused, and
// they may be anything.
//
//===----------------------------------------------------------------------===//

#include "InputChecks.h"
#include "headrace/Dialect/HR/HRUtils.h"

using namespace mlir;
using namespace headrace;

/// The argument whose elements, all of them and unchanged, are those of `value`.
static BlockArgument getWholeArgument(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto reshape = dyn_cast<hr::ReshapeOp>(op)) {
      value = reshape.getSource();
      continue;
    }
    auto view = dyn_cast<hr::ViewOp>(op);
    if (!view)
      return {};
    // A permutation, perhaps with dimensions along which it repeats.
    FailureOr<SmallVector<SizeExpr>> from = hr::getDims(view.getSource());
    SmallVector<SizeExpr> to = hr::getSizes(view.getDims());
    if (failed(from))
      return {};
    llvm::SmallBitVector taken(to.size());
    for (auto [size, expr, offset] :
         llvm::zip_equal(*from, view.getMap().getResults(),
                         hr::getSizes(view.getOffsets()))) {
      if (offset != SizeExpr(0))
        return {};
      if (size == SizeExpr(1) && isa<AffineConstantExpr>(expr))
        continue;
      auto dim = dyn_cast<AffineDimExpr>(expr);
      if (!dim || taken.test(dim.getPosition()) ||
          to[dim.getPosition()] != size)
        return {};
      taken.set(dim.getPosition());
    }
    value = view.getSource();
  }
  return cast<BlockArgument>(value);
}

void conversion::recordInputChecks(func::FuncOp entry) {
  if (entry.getOps<hr::WriteStateOp>().empty())
    return;
  Builder b(entry.getContext());
  // A check of an input -> the sites that look at it.
  llvm::MapVector<Attribute, SmallVector<Attribute>> checks;
  // Sites that look at something else, too.
  DenseSet<Attribute> others;
  auto visit = [&](auto op, Value source) {
    FailureOr<SmallVector<SizeExpr>> extents = hr::getDims(source);
    if (failed(extents))
      return;
    Attribute site = hr::getSiteAttr(op.getLoc(), op.getWhat(), "index",
                                     /*ranged=*/true);
    for (auto [d, k] : llvm::enumerate(op.getSourceDims())) {
      if (k < 0)
        continue;
      Value index = op.getIndices()[k];
      Type type = getElementTypeOrSelf(index.getType());
      BlockArgument argument;
      if (type.isInteger(32) || type.isInteger(64))
        argument = getWholeArgument(index);
      if (!argument) {
        others.insert(site);
        continue;
      }
      NamedAttrList check;
      check.set("input", b.getI64IntegerAttr(argument.getArgNumber()));
      check.set("bound", hr::SizeAttr::get(b.getContext(), (*extents)[d]));
      check.set("wrap", b.getBoolAttr(op.getWrap()));
      SmallVector<Attribute> &sites = checks[b.getDictionaryAttr(check)];
      if (!llvm::is_contained(sites, site))
        sites.push_back(site);
    }
  };
  entry.walk([&](Operation *op) {
    if (auto gather = dyn_cast<hr::GatherOp>(op))
      visit(gather, gather.getSource());
    else if (auto scatter = dyn_cast<hr::ScatterOp>(op))
      visit(scatter, scatter.getBase());
  });
  SmallVector<Attribute> list;
  for (const auto &[key, sites] : checks) {
    NamedAttrList check(cast<DictionaryAttr>(key));
    check.set("site", sites.front());
    SmallVector<Attribute> covers = llvm::to_vector(llvm::make_filter_range(
        sites, [&](Attribute site) { return !others.contains(site); }));
    check.set("covers", b.getArrayAttr(covers));
    list.push_back(b.getDictionaryAttr(check));
  }
  if (!list.empty())
    entry->setAttr("hr.checks", b.getArrayAttr(list));
}
