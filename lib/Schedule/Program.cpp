//===- Program.cpp - A schedule without IR --------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Builders of commands, boxes and regions, and from ranges of tiles to boxes.
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/Program.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

//===----------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------===//

SizeExpr Buffer::slotBytes() const {
  SizeExpr bytes = elementBytes;
  for (const SizeExpr &dim : dims)
    bytes = bytes * dim;
  return bytes;
}

SizeExpr Stage::tileCount() const {
  SizeExpr count = 1;
  for (const SizeExpr &size : grid)
    count = count * size;
  return count;
}

Command Command::run(int stage, SizeExpr from, SizeExpr to,
                     std::vector<BufferRef> operands) {
  Command command;
  command.kind = Kind::Run;
  command.stage = stage;
  command.from = std::move(from);
  command.to = std::move(to);
  command.operands = std::move(operands);
  return command;
}

Command Command::wait(int family, SizeExpr from, SizeExpr to, SizeExpr count) {
  Command command;
  command.kind = Kind::Wait;
  command.family = family;
  command.from = std::move(from);
  command.to = std::move(to);
  command.count = std::move(count);
  return command;
}

Command Command::waitAll(int family, SizeExpr count) {
  return wait(family, 0, 0x7fffffff, std::move(count));
}

Command Command::repeat(int64_t iterations, std::string index,
                        std::vector<Command> body) {
  Command command;
  command.kind = Kind::Repeat;
  command.iterations = iterations;
  command.index = std::move(index);
  command.body = std::move(body);
  return command;
}

SymbolRanges Program::symbolRanges() const {
  SymbolRanges ranges;
  for (const Symbol &symbol : symbols)
    ranges[symbol.name] = symbol.range;
  return ranges;
}

int64_t Program::timelineCount() const {
  int64_t count = 0;
  for (const Family &family : families)
    count += family.count;
  return count;
}

int64_t Program::firstTimeline(int family) const {
  int64_t first = 0;
  for (int f = 0; f < family; ++f)
    first += families[f].count;
  return first;
}

int64_t schedule::countSignals(ArrayRef<Command> commands) {
  int64_t count = 0;
  for (const Command &command : commands) {
    switch (command.kind) {
    case Command::Kind::Run:
      count += command.parts;
      break;
    case Command::Kind::Copy:
      ++count;
      break;
    case Command::Kind::Wait:
      break;
    case Command::Kind::Repeat:
      count += command.iterations * countSignals(command.body);
      break;
    }
  }
  return count;
}

//===----------------------------------------------------------------------===//
// Boxes
//===----------------------------------------------------------------------===//

bool Box::empty() const {
  return llvm::any_of(dims, [](auto dim) { return dim.first >= dim.second; });
}

bool Box::overlaps(const Box &other) const {
  for (size_t d = 0, e = dims.size(); d < e; ++d)
    if (dims[d].first >= other.dims[d].second ||
        other.dims[d].first >= dims[d].second)
      return false;
  return true;
}

bool Box::contains(const Box &other) const {
  for (size_t d = 0, e = dims.size(); d < e; ++d)
    if (dims[d].first > other.dims[d].first ||
        dims[d].second < other.dims[d].second)
      return false;
  return true;
}

Box Box::intersect(const Box &other) const {
  Box result = *this;
  for (size_t d = 0, e = dims.size(); d < e; ++d) {
    result.dims[d].first = std::max(dims[d].first, other.dims[d].first);
    result.dims[d].second = std::min(dims[d].second, other.dims[d].second);
  }
  return result;
}

int64_t Box::volume() const {
  int64_t volume = 1;
  for (auto [from, to] : dims)
    volume = llvm::SaturatingMultiply<uint64_t>(
        volume, std::max<int64_t>(0, to - from));
  return volume;
}

std::string Box::str() const {
  std::string text;
  for (auto [from, to] : dims) {
    if (!text.empty())
      text += " x ";
    text += "[" + std::to_string(from) + ", " + std::to_string(to) + ")";
  }
  return text.empty() ? "its element" : text;
}

BoxSet::BoxSet(Box box) {
  if (!box.empty())
    boxes.push_back(std::move(box));
}

bool BoxSet::overlaps(const Box &box) const {
  return llvm::any_of(boxes, [&](const Box &b) { return b.overlaps(box); });
}

void BoxSet::subtract(const Box &box) {
  if (box.empty())
    return;
  for (size_t i = 0; i < boxes.size();) {
    if (!boxes[i].overlaps(box)) {
      ++i;
      continue;
    }
    // Cut off what lies before and after `box`, one dimension at a time.
    Box rest = boxes[i];
    boxes[i] = boxes.back();
    boxes.pop_back();
    for (size_t d = 0; d < rest.dims.size(); ++d) {
      if (rest.dims[d].first < box.dims[d].first) {
        Box before = rest;
        before.dims[d].second = box.dims[d].first;
        rest.dims[d].first = box.dims[d].first;
        boxes.push_back(std::move(before));
      }
      if (rest.dims[d].second > box.dims[d].second) {
        Box after = rest;
        after.dims[d].first = box.dims[d].second;
        rest.dims[d].second = box.dims[d].second;
        boxes.push_back(std::move(after));
      }
    }
    // What was pushed does not overlap `box`; what was swapped in may.
  }
}

void BoxSet::add(const Box &box) {
  if (box.empty())
    return;
  subtract(box);
  boxes.push_back(box);
}

int64_t BoxSet::volume() const {
  int64_t volume = 0;
  for (const Box &box : boxes)
    volume += box.volume();
  return volume;
}

//===----------------------------------------------------------------------===//
// Tiles to boxes
//===----------------------------------------------------------------------===//

/// Appends the boxes of coordinates that the tiles [from, to) of `grid` are.
static void appendGridBoxes(ArrayRef<int64_t> grid, int64_t from, int64_t to,
                            Box prefix, SmallVectorImpl<Box> &boxes) {
  if (from >= to)
    return;
  if (grid.empty()) {
    boxes.push_back(prefix);
    return;
  }
  int64_t row = 1;
  for (int64_t size : grid.drop_front())
    row *= size;
  auto push = [&](int64_t first, int64_t last, int64_t inFrom, int64_t inTo) {
    if (first >= last)
      return;
    Box next = prefix;
    next.dims.push_back({first, last});
    appendGridBoxes(grid.drop_front(), inFrom, inTo, next, boxes);
  };
  int64_t firstRow = from / row, lastRow = to / row;
  if (firstRow == lastRow)
    return push(firstRow, firstRow + 1, from % row, to % row);
  if (from % row) {
    push(firstRow, firstRow + 1, from % row, row);
    ++firstRow;
  }
  push(firstRow, lastRow, 0, row);
  push(lastRow, lastRow + 1, 0, to % row);
}

/// Joins boxes that together are a box; drops those inside others.
static void mergeBoxes(std::vector<Box> &boxes) {
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < boxes.size() && !changed; ++i) {
      for (size_t j = 0; j < boxes.size() && !changed; ++j) {
        if (i == j)
          continue;
        Box &a = boxes[i], &b = boxes[j];
        int differing = -1;
        bool one = true;
        for (size_t d = 0; d < a.dims.size(); ++d) {
          if (a.dims[d] == b.dims[d])
            continue;
          one &= differing < 0;
          differing = d;
        }
        bool joined = false;
        if (a.contains(b)) {
          joined = true;
        } else if (one && differing >= 0 &&
                   a.dims[differing].first <= b.dims[differing].first &&
                   a.dims[differing].second >= b.dims[differing].first) {
          a.dims[differing].second =
              std::max(a.dims[differing].second, b.dims[differing].second);
          joined = true;
        }
        if (joined) {
          boxes.erase(boxes.begin() + j);
          changed = true;
        }
      }
    }
  }
}

/// The box of a box of coordinates; `exact` is cleared if some of its indices
/// belong to no tile.
static Box touchedBox(const Footprint &footprint, ArrayRef<int64_t> extents,
                      ArrayRef<int64_t> dims, const Box &tiles, bool &exact) {
  Box box;
  SmallVector<int, 4> users(tiles.dims.size(), 0);
  for (auto [d, dim] : llvm::enumerate(footprint.dims)) {
    if (dim.origin) {
      box.dims.push_back({0, dims[d]});
      exact = false;
      continue;
    }
    int64_t low = dim.base, high = dim.base;
    // Steps from small to large: each must not leave a gap behind what the
    // smaller ones reach.
    SmallVector<std::pair<int64_t, int64_t>, 4> steps;
    for (auto [k, coefficient] : llvm::enumerate(dim.coefficients)) {
      auto [first, last] = tiles.dims[k];
      if (coefficient == 0)
        continue;
      int64_t a = coefficient * first, b = coefficient * (last - 1);
      low += std::min(a, b);
      high += std::max(a, b);
      if (last - first > 1) {
        steps.push_back({std::abs(coefficient), last - first});
        ++users[k];
      }
    }
    llvm::sort(steps);
    int64_t reach = extents[d];
    for (auto [step, count] : steps) {
      if (step > reach)
        exact = false;
      reach += step * (count - 1);
    }
    box.dims.push_back({std::clamp<int64_t>(low, 0, dims[d]),
                        std::clamp<int64_t>(high + extents[d], 0, dims[d])});
  }
  // One coordinate that moves two dimensions runs along a diagonal.
  if (llvm::any_of(users, [](int count) { return count > 1; }))
    exact = false;
  return box;
}

int64_t FlatAccess::volume() const {
  int64_t all = 0;
  for (const Box &box : boxes)
    all += box.volume();
  return loose < 0 ? all : std::min(all, loose);
}

std::vector<Box> schedule::touchedBoxes(const Footprint &footprint,
                                        ArrayRef<int64_t> grid,
                                        ArrayRef<int64_t> extents,
                                        ArrayRef<int64_t> dims, int64_t from,
                                        int64_t to,
                                        const SymbolBindings &bindings,
                                        bool &exact) {
  exact = true;
  std::vector<Box> result;
  if (from >= to)
    return result;
  if (footprint.whole) {
    Box box;
    for (int64_t dim : dims)
      box.dims.push_back({0, dim});
    if (!box.empty())
      result.push_back(std::move(box));
    return result;
  }
  SmallVector<Box> tiles;
  appendGridBoxes(grid, from, to, Box(), tiles);
  for (const Box &tile : tiles) {
    Box box = touchedBox(footprint, extents, dims, tile, exact);
    if (!box.empty())
      result.push_back(std::move(box));
  }
  if (exact || to - from > 4096) {
    mergeBoxes(result);
    return result;
  }

  // Not rectangles: tile by tile, as long as that stays small.
  std::vector<Box> each;
  bool allExact = true;
  SymbolBindings scope;
  for (const auto &binding : bindings)
    scope[binding.getKey()] = binding.getValue();
  for (int64_t tile = from; tile < to; ++tile) {
    Box coordinates;
    int64_t rest = tile;
    for (int64_t k = grid.size(); k-- > 0;) {
      int64_t at = rest % grid[k];
      rest /= grid[k];
      coordinates.dims.insert(coordinates.dims.begin(), {at, at + 1});
    }
    bool tileExact = true;
    Box box = touchedBox(footprint, extents, dims, coordinates, tileExact);
    for (auto [d, dim] : llvm::enumerate(footprint.dims)) {
      if (!dim.origin)
        continue;
      for (auto [k, at] : llvm::enumerate(coordinates.dims))
        scope["d" + std::to_string(k)] = at.first;
      std::optional<int64_t> origin = dim.origin->evaluate(scope);
      if (!origin) {
        allExact = false;
        continue;
      }
      box.dims[d] = {std::clamp<int64_t>(*origin, 0, dims[d]),
                     std::clamp<int64_t>(*origin + extents[d], 0, dims[d])};
    }
    if (box.empty())
      continue;
    each.push_back(std::move(box));
    if (each.size() % 64 == 0)
      mergeBoxes(each);
    if (each.size() > 512) {
      mergeBoxes(result);
      return result;
    }
  }
  mergeBoxes(each);
  exact = allExact;
  return each;
}
