//===- Regions.cpp - Rectangles whose corners are expressions -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Regions.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

SizeExpr schedule::at(const SizeExpr &expr, StringRef index,
                      const SizeExpr &value) {
  return expr.substitute([&](StringRef name) -> std::optional<SizeExpr> {
    if (name == index)
      return value;
    return std::nullopt;
  });
}

namespace {
/// Goes through an expression from the inside; knows of each part how it moves
/// with `index`.
struct MotionVisitor : SizeExpr::Visitor {
  struct Part {
    SizeExpr expr;
    bool rises, falls; // never the other way; both: does not move
    bool fixed() const { return rises && falls; }
  };
  MotionVisitor(StringRef index, const SymbolRanges &ranges)
      : index(index), ranges(ranges) {}

  void constant(int64_t value) override {
    parts.push_back({SizeExpr(value), true, true});
  }
  void symbol(StringRef name) override {
    parts.push_back({SizeExpr::symbol(name), true, name != index});
  }
  void binary(StringRef op) override {
    Part b = parts.pop_back_val(), a = parts.pop_back_val();
    auto least = [&](const Part &part) { return part.expr.bounds(ranges).min; };
    Part result{SizeExpr(), a.rises && b.rises, a.falls && b.falls};
    if (op == "+") {
      result.expr = a.expr + b.expr;
    } else if (op == "*") {
      result.expr = a.expr * b.expr;
      if (a.fixed())
        std::swap(a, b);
      bool fixed = a.fixed() && b.fixed();
      bool positive = least(b) >= 0 && (b.fixed() || least(a) >= 0);
      bool negative = b.fixed() && b.expr.bounds(ranges).max <= 0;
      result.rises = fixed || (positive && a.rises && b.rises) ||
                     (negative && a.falls);
      result.falls = fixed || (positive && b.fixed() && a.falls) ||
                     (negative && a.rises);
    } else if (op == "floordiv") {
      bool good = b.fixed() && least(b) >= 1;
      result = {a.expr.floorDiv(b.expr), good && a.rises, good && a.falls};
      if (a.fixed() && b.fixed())
        result.rises = result.falls = true;
    } else if (op == "mod") {
      bool fixed = a.fixed() && b.fixed();
      result = {a.expr.mod(b.expr), fixed, fixed};
    } else if (op == "min") {
      result.expr = SizeExpr::min(a.expr, b.expr);
    } else {
      result.expr = SizeExpr::max(a.expr, b.expr);
    }
    parts.push_back(std::move(result));
  }

  StringRef index;
  const SymbolRanges &ranges;
  SmallVector<Part, 8> parts;
};
} // namespace

/// Whether the first and the last tile of a run never fall as the number of the
/// timeline grows.
static bool isRangeAscending(const Program &program, const Command &command,
                             const Family &family) {
  SizeExpr w = SizeExpr::symbol(family.index);
  SymbolRanges ranges = program.symbolRanges();
  ranges[family.index] = {0, family.count};
  auto rises = [&](const SizeExpr &expr, const SizeExpr &number) {
    // An even share of some leading coordinates rises; written as a sum it is
    // hard to tell.
    const Stage &stage = program.stages[command.stage];
    for (size_t k = 0; k <= stage.grid.size(); ++k) {
      SizeExpr groups = 1, perGroup = 1;
      for (auto [d, size] : llvm::enumerate(stage.grid))
        (d < k ? groups : perGroup) = (d < k ? groups : perGroup) * size;
      if (expr == (number * groups).floorDiv(family.count) * perGroup)
        return true;
    }
    MotionVisitor visitor(family.index, ranges);
    expr.visit(visitor);
    return visitor.parts.back().rises;
  };
  return rises(command.from, w) && rises(command.to, w + 1);
}

TileSplit schedule::getTileSplit(const Program &program, const Command &command,
                                 int familyNumber) {
  const Family &family = program.families[familyNumber];
  SizeExpr tiles = program.stages[command.stage].tileCount();
  SymbolRanges ranges = program.symbolRanges();
  auto isLessEqual = [&](const SizeExpr &a, const SizeExpr &b) {
    return condition::isLessEqual(a, b, ranges, program.conditions);
  };
  auto first = [&](int64_t number) {
    return at(command.from, family.index, number);
  };
  auto end = [&](int64_t number) {
    return at(command.to, family.index, number);
  };
  // The number of an iteration moves what all timelines do at different times.
  bool alike = true;
  for (const SizeExpr *expr : {&command.from, &command.to})
    expr->walkSymbols([&](StringRef name) {
      alike &= name == family.index || ranges.contains(name);
    });

  // 1. Each begins where the one before ends.
  int64_t last = family.count - 1;
  TileSplit split;
  bool inARow =
      last == 0 || at(command.from, family.index,
                      SizeExpr::symbol(family.index) + 1) == command.to;
  if (inARow) {
    bool ascending = last == 0 || isRangeAscending(program, command, family);
    split.coversAll = first(0) == SizeExpr(0) && end(last) == tiles;
    split.isApart = alike && ascending;
    split.isInside = ascending && isLessEqual(0, first(0)) &&
                     isLessEqual(end(last), tiles);
    return split;
  }
  // 2. In another order, or with gaps: one after the other, from the first tile.
  split.isInside = true;
  std::vector<std::pair<SizeExpr, SizeExpr>> parts;
  for (int64_t w = 0; w <= last; ++w) {
    if (isLessEqual(end(w), first(w)))
      continue;
    parts.push_back({first(w), end(w)});
    split.isInside &= isLessEqual(0, parts.back().first) &&
                      isLessEqual(parts.back().second, tiles);
  }
  SizeExpr reached = 0;
  bool ascending = true;
  for (bool found = true; found;) {
    auto next = llvm::find_if(
        parts, [&](const auto &part) { return part.first == reached; });
    found = next != parts.end();
    if (!found)
      break;
    ascending &= isLessEqual(next->first, next->second);
    reached = next->second;
    parts.erase(next);
  }
  split.coversAll = reached == tiles;
  split.isApart = alike && ascending && parts.empty();
  return split;
}

std::string SymbolicBox::str() const {
  std::string text;
  for (const auto &[from, to] : dims) {
    if (!text.empty())
      text += " x ";
    text += "[" + from.str() + ", " + to.str() + ")";
  }
  return text.empty() ? "its element" : text;
}

Regions::Regions(const Program &program)
    : program(program), ranges(program.symbolRanges()) {}

SymbolicBox Regions::getWhole(int buffer) const {
  SymbolicBox whole;
  for (const SizeExpr &dim : program.buffers[buffer].dims)
    whole.dims.push_back({0, dim});
  return whole;
}

const SymbolicBox &Regions::getOuter(const Command &command, int family,
                                int operand) {
  return get(command, family, operand).outer;
}

const SymbolicBoxes &Regions::getInner(const Command &command, int family,
                                    int operand) {
  return get(command, family, operand).inner;
}

const Regions::Touched &Regions::get(const Command &command, int family,
                                     int operand) {
  auto [entry, inserted] = known.try_emplace({&command, operand});
  if (!inserted)
    return entry->second;
  entry->second = command.kind == Command::Kind::Copy
                      ? makeCopy(command, family, operand)
                      : makeRun(command, family, operand);
  // Where each timeline has a slot of its own, none holds all of it.
  command.operands[operand].slot.walkSymbols([&](StringRef name) {
    if (name == program.families[family].index)
      entry->second.inner.clear();
  });
  return entry->second;
}

//===----------------------------------------------------------------------===//
// What commands touch
//===----------------------------------------------------------------------===//

/// Per coordinate of the grid: where it has no values, there are no tiles, and no
/// indices in the buffer that they would have to touch.
static SmallVector<bool> findNeverMissing(const Stage &stage,
                                          ArrayRef<SizeExpr> dims,
                                          const SymbolRanges &ranges) {
  // No tile is larger than this in any dimension.
  constexpr int64_t largestTile = 1 << 20;
  SmallVector<bool> result;
  for (const SizeExpr &count : stage.grid)
    result.push_back(count.bounds(ranges).min >= 1 ||
                     llvm::any_of(dims, [&](const SizeExpr &size) {
                       return size.isLessEqual(count * largestTile, ranges);
                     }));
  return result;
}

/// Appends what all tiles of the grid touch in one dimension of `size` indices;
/// false if `inner` cannot be told.
bool Regions::appendDim(const Stage &stage, ArrayRef<bool> neverMissing,
                        const FootprintDim &dim, const SizeExpr &size,
                        Touched &result, SymbolicBox &inner) const {
  SizeExpr zero = 0;
  if (dim.origin) {
    result.outer.dims.push_back({zero, size});
    return false;
  }
  // Steps from small to large: none may leave a gap behind what the smaller
  // ones reach.
  struct Step {
    int64_t length;
    SizeExpr count;
    bool neverMissing;
  };
  SmallVector<Step, 4> steps;
  SizeExpr low = dim.base, high = SizeExpr(dim.base) + dim.extent;
  for (auto [coefficient, count, known] :
       llvm::zip(dim.coefficients, stage.grid, neverMissing)) {
    if (coefficient == 0 || count == SizeExpr(1))
      continue;
    SizeExpr way = (count - 1) * coefficient;
    (coefficient < 0 ? low : high) = (coefficient < 0 ? low : high) + way;
    steps.push_back({std::abs(coefficient), count, known});
  }
  llvm::stable_sort(steps, [](const Step &a, const Step &b) {
    return a.length < b.length;
  });
  bool exact = true;
  SizeExpr reach = dim.extent;
  for (const Step &step : steps) {
    // Without tiles there is nothing; the rectangle must say so, too.
    bool isRight = step.neverMissing || (steps.size() == 1 &&
                                         isLessEqual(dim.extent, step.length));
    exact = exact && isRight && isLessEqual(step.length, reach);
    reach = reach + (step.count - 1) * step.length;
  }
  // An end may lie in the buffer for some sizes and behind it for others: a tile
  // reaches over the end of what it writes. What is touched at most is simpler
  // without the difference.
  auto clamp = [&](const SizeExpr &end, const SizeExpr &most) {
    std::pair<SizeExpr, SizeExpr> result(most, end); // outer, inner
    if (isLessEqual(end, zero))
      result = {zero, zero};
    else if (isLessEqual(size, end))
      result = {size, size};
    else if (isLessEqual(zero, end) && isLessEqual(end, size))
      result.first = end;
    else
      result.second = SizeExpr::min(SizeExpr::max(end, zero), size);
    return result;
  };
  auto [from, innerFrom] = clamp(low, zero);
  auto [to, innerTo] = clamp(high, size);
  result.outer.dims.push_back({from, to});
  inner.dims.push_back({innerFrom, innerTo});
  return exact;
}

/// Values, if all are constants.
static bool collectConstants(ArrayRef<SizeExpr> exprs,
                             SmallVectorImpl<int64_t> &values) {
  for (const SizeExpr &expr : exprs) {
    std::optional<int64_t> value = expr.getConstant();
    if (!value)
      return false;
    values.push_back(*value);
  }
  return true;
}

const TileSplit &Regions::getSplit(const Command &command, int family) {
  auto [entry, inserted] = splits.try_emplace(&command);
  if (inserted)
    entry->second = getTileSplit(program, command, family);
  return entry->second;
}

Regions::Touched Regions::makeRun(const Command &command, int family,
                                  int operand) {
  const Stage &stage = program.stages[command.stage];
  const Footprint &print = stage.operands[operand].footprint;
  const Buffer &buffer = program.buffers[command.operands[operand].buffer];
  Touched result;
  bool all = getSplit(command, family).coversAll;
  SmallVector<bool> neverMissing =
      findNeverMissing(stage, buffer.dims, ranges);
  if (print.whole) {
    result.outer = getWhole(command.operands[operand].buffer);
    if (all && llvm::all_of(neverMissing, [](bool known) { return known; }))
      result.inner.push_back(result.outer);
    return result;
  }

  // Where nothing depends on a size, boxes are exact whatever their shape.
  SmallVector<int64_t> grid, dims, extents;
  SmallVector<SizeExpr> extentExprs;
  for (const FootprintDim &dim : print.dims)
    extentExprs.push_back(dim.extent);
  SymbolicBox inner;
  bool exact = all;
  for (auto [dim, size] : llvm::zip(print.dims, buffer.dims))
    exact &= appendDim(stage, neverMissing, dim, size, result, inner);
  // One coordinate that moves two dimensions runs along a diagonal; one that
  // moves none says nothing about what is touched when it has no value.
  for (auto [k, count] : llvm::enumerate(stage.grid)) {
    if (count == SizeExpr(1))
      continue;
    unsigned moved = llvm::count_if(print.dims, [&](const FootprintDim &dim) {
      return !dim.origin && dim.coefficients[k] != 0;
    });
    exact = exact && (moved == 1 || (moved == 0 && neverMissing[k]));
  }
  if (exact) {
    result.inner.push_back(std::move(inner));
    return result;
  }
  if (!all || !collectConstants(stage.grid, grid) ||
      !collectConstants(buffer.dims, dims) ||
      !collectConstants(extentExprs, extents))
    return result;
  int64_t tiles = 1;
  for (int64_t size : grid)
    tiles *= size;
  bool exactBoxes = true;
  std::vector<Box> boxes =
      touchedBoxes(print, grid, extents, dims, 0, tiles, {}, exactBoxes);
  for (const Box &box : boxes) {
    SymbolicBox &region = result.inner.emplace_back();
    for (auto [from, to] : box.dims)
      region.dims.push_back({from, to});
  }
  if (!exactBoxes)
    result.inner.clear();
  return result;
}

Regions::Touched Regions::makeCopy(const Command &command, int family,
                                   int operand) const {
  Touched result;
  const std::vector<SizeExpr> &origin =
      operand ? command.destOrigin : command.sourceOrigin;
  // The number of the timeline or of the iteration: not the same for all.
  bool differs = program.families[family].count > 1;
  auto note = [&](StringRef name) { differs |= !ranges.contains(name); };
  for (const SizeExpr &expr : origin)
    expr.walkSymbols(note);
  for (const SizeExpr &expr : command.extent)
    expr.walkSymbols(note);
  if (differs) {
    result.outer = getWhole(command.operands[operand].buffer);
    return result;
  }
  for (auto [from, extent] : llvm::zip(origin, command.extent))
    result.outer.dims.push_back({from, from + extent});
  result.inner.push_back(result.outer);
  return result;
}

//===----------------------------------------------------------------------===//
// Sets
//===----------------------------------------------------------------------===//

bool Regions::isEmpty(const SymbolicBox &region) const {
  return llvm::any_of(region.dims, [&](const auto &dim) {
    return isLessEqual(dim.second, dim.first);
  });
}

SymbolicBoxes Regions::getUncovered(const SymbolicBox &region,
                                 ArrayRef<SymbolicBox> cover) const {
  SymbolicBoxes rest;
  if (!isEmpty(region))
    rest.push_back(region);
  // What does not fit at first may once another has taken its part.
  for (size_t before = 0; !rest.empty() && rest.size() != before;) {
    before = rest.size();
    for (const SymbolicBox &taken : cover)
      subtract(rest, taken);
  }
  return rest;
}

void Regions::subtract(SymbolicBoxes &rest, const SymbolicBox &taken) const {
  SymbolicBoxes result;
  for (SymbolicBox &region : rest) {
    // The one dimension in which `taken` does not reach over all of it.
    int open = -1;
    bool before = true, after = true, several = false;
    for (auto [d, dim] : llvm::enumerate(region.dims)) {
      bool left = isLessEqual(taken.dims[d].first, dim.first);
      bool right = isLessEqual(dim.second, taken.dims[d].second);
      if (left && right)
        continue;
      several |= open >= 0;
      open = d;
      before = left;
      after = right;
    }
    if (open < 0)
      continue;
    const auto &dim = region.dims[open];
    const auto &cut = taken.dims[open];
    // Pieces are kept inside the region, or they would grow.
    if (several || (!before && !isLessEqual(cut.first, dim.second)) ||
        (!after && !isLessEqual(dim.first, cut.second))) {
      result.push_back(std::move(region));
      continue;
    }
    if (!before) {
      SymbolicBox &piece = result.emplace_back(region);
      piece.dims[open].second = cut.first;
    }
    if (!after) {
      SymbolicBox &piece = result.emplace_back(region);
      piece.dims[open].first = cut.second;
    }
  }
  rest = std::move(result);
}
