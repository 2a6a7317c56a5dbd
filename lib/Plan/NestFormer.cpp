//===- NestFormer.cpp - Which nodes of a stage become one loop nest -------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "NestFormer.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

NestFormer::NestFormer(ArrayRef<std::unique_ptr<Node>> nodes,
                       const llvm::SetVector<Value> &outputs)
    : nodes(nodes), outputs(outputs) {
  for (auto &node : nodes)
    for (auto [i, access] : llvm::enumerate(node->operands))
      if (access.producer)
        uses[access.producer].push_back({node.get(), unsigned(i)});
}

bool NestFormer::isOutputNode(const Node *node) const {
  return llvm::any_of(node->op->getResults(),
                      [&](Value v) { return outputs.contains(v); });
}

void NestFormer::chooseStored() {
  for (auto &node : llvm::reverse(nodes)) {
    bool stored = node->kind != NodeKind::Map || isOutputNode(node.get()) ||
                  node->op->getNumResults() > 1;
    SetVector<const Node *> &reading = readers[node.get()];
    for (const Use &use : uses[node.get()]) {
      Node *consumer = use.consumer;
      if (cast<hr::TileableOp>(consumer->op).readsFromMemory(use.operand))
        stored = true;
      if (consumer->kind != NodeKind::Map || materialized.contains(consumer))
        reading.insert(consumer);
      else
        reading.insert(readers[consumer].begin(), readers[consumer].end());
    }
    double inlineCost = node->flopsPerPoint;
    for (Access &access : node->operands)
      if (access.producer && access.producer->kind == NodeKind::Map)
        inlineCost += access.producer->flopsPerPoint;
    if (reading.size() > 1 && inlineCost > 2)
      stored = true;
    // Recomputing along a loop the value does not have multiplies its cost.
    for (const Use &use : uses[node.get()])
      if (use.consumer->loops.size() > node->loops.size() && node->hasMath)
        stored = true;
    if (stored)
      materialized.insert(node.get());
  }
}

void NestFormer::collectInlined(Node *sink, SetVector<Node *> &inlined,
                                SetVector<Node *> &leaves) const {
  SmallVector<Node *> work{sink};
  while (!work.empty()) {
    Node *node = work.pop_back_val();
    for (Access &access : node->operands) {
      if (!access.producer)
        continue;
      if (materialized.contains(access.producer))
        leaves.insert(access.producer);
      else if (inlined.insert(access.producer))
        work.push_back(access.producer);
    }
  }
}

/// Whether the loops of a sink are one to one those that the anchor has results
/// along.
static bool mapsOneToOne(const Node *sink, const Node *anchor) {
  SmallVector<unsigned> a, b;
  for (const Loop &loop : sink->loops)
    a.push_back(loop.cls);
  for (const Loop &loop : anchor->loops)
    if (loop.parallel)
      b.push_back(loop.cls);
  llvm::sort(a);
  llvm::sort(b);
  return a == b && std::adjacent_find(a.begin(), a.end()) == a.end();
}

void NestFormer::formEpilogues() {
  auto position = [&](Node *node) {
    Node *anchor = nestOf.lookup(node);
    return anchor ? anchor->index : node->index;
  };
  for (auto &node : nodes) {
    if (!materialized.contains(node.get()) ||
        (node->kind != NodeKind::Map && node->kind != NodeKind::Update) ||
        node->op->getNumResults() != 1)
      continue;
    SetVector<Node *> inlined, leaves;
    collectInlined(node.get(), inlined, leaves);
    Node *best = nullptr;
    for (Node *leaf : leaves)
      if ((leaf->kind == NodeKind::Contraction ||
           leaf->kind == NodeKind::Reduction ||
           leaf->kind == NodeKind::SoftmaxSum) &&
          leaf->op->getNumResults() == 1 && mapsOneToOne(node.get(), leaf) &&
          (!best || leaf->index > best->index))
        best = leaf;
    if (!best)
      continue;
    // Every access to the anchor from the tree must be at the very point.
    bool plain = true;
    auto checkAccesses = [&](Node *reader) {
      for (Access &access : reader->operands)
        if ((access.producer == best || inlined.contains(access.producer)) &&
            !StageAnalysis::isAligned(reader, access))
          plain = false;
    };
    checkAccesses(node.get());
    for (Node *map : inlined)
      checkAccesses(map);
    for (Node *leaf : leaves)
      if (leaf != best && position(leaf) >= best->index)
        plain = false;
    if (!plain)
      continue;
    nestOf[node.get()] = best;
    epilogues[best].push_back(node.get());
    trees[node.get()] = inlined;
  }
}

void NestFormer::dropUnreadAnchors() {
  for (auto &node : nodes) {
    auto it = epilogues.find(node.get());
    if (it == epilogues.end() || isOutputNode(node.get()))
      continue;
    bool outside = false;
    for (const Use &use : uses[node.get()]) {
      Node *consumer = use.consumer;
      bool inside = llvm::any_of(it->second, [&](Node *sink) {
        return sink == consumer || trees[sink].contains(consumer);
      });
      // An inlined map may also be read from other nests.
      if (inside && !materialized.contains(consumer))
        for (const Node *reader : readers[consumer])
          if (!llvm::is_contained(it->second, reader))
            inside = false;
      if (!inside)
        outside = true;
    }
    if (!outside)
      materialized.erase(node.get());
  }
}

void NestFormer::createNests() {
  for (auto &node : nodes) {
    if (nestOf.count(node.get()))
      continue;
    if (node->kind == NodeKind::Map && !materialized.contains(node.get()))
      continue;
    Nest nest;
    nest.anchor = node.get();
    if (materialized.contains(node.get()))
      nest.sinks.push_back(node.get());
    llvm::append_range(nest.sinks, epilogues.lookup(node.get()));
    nests.push_back(nest);
  }
}

void NestFormer::moveIntoStreams() {
  for (Nest &stream : llvm::reverse(nests)) {
    if (stream.anchor->kind != NodeKind::SoftmaxSum)
      continue;
    unsigned cls = 0;
    for (const Loop &loop : stream.anchor->loops)
      if (!loop.parallel)
        cls = loop.cls;
    auto hasClass = [&](const Node *node) {
      return llvm::any_of(node->loops,
                          [&](const Loop &loop) { return loop.cls == cls; });
    };
    // Values of which the stream reads more than what it is at.
    DenseSet<const Node *> whole;
    for (auto &node : llvm::reverse(nodes)) {
      for (const Access &access : node->operands)
        if (access.producer &&
            ((whole.contains(node.get()) &&
              !materialized.contains(node.get())) ||
             !StageAnalysis::isAligned(node.get(), access, cls)))
          whole.insert(access.producer);
    }
    // Closed under "all readers are in the stream", from the end backwards.
    for (Nest &nest : llvm::reverse(nests)) {
      if (nest.anchor->index >= stream.anchor->index || nest.streamedBy)
        continue;
      bool inside = true;
      for (Node *sink : nest.sinks) {
        if (!hasClass(sink) || isOutputNode(sink) || whole.contains(sink))
          inside = false;
        for (const Loop &loop : sink->loops)
          if (loop.cls == cls && !loop.parallel)
            inside = false;
        for (const Node *reader : readers[sink]) {
          if (reader == stream.anchor)
            continue;
          bool streamed = llvm::any_of(nests, [&](Nest &other) {
            return other.streamedBy == stream.anchor &&
                   (other.anchor == reader ||
                    llvm::is_contained(other.sinks, reader));
          });
          if (!streamed)
            inside = false;
        }
      }
      // A reduction over the streamed class needs all of it.
      for (const Loop &loop : nest.anchor->loops)
        if (loop.cls == cls && !loop.parallel)
          inside = false;
      if (inside && !nest.sinks.empty())
        nest.streamedBy = stream.anchor;
    }
  }
}

/// The loops of `reader` at which it reads `map`, one for each loop of `map`,
/// if all its accesses, through inlined maps too, are at one such point that
/// covers every loop of both.
static std::optional<SmallVector<unsigned>>
getPointOfRead(const Node *reader, const Node *map,
               const DenseSet<const Node *> &materialized) {
  unsigned numLoops = reader->loops.size();
  if (map->loops.size() != numLoops)
    return std::nullopt;
  std::optional<SmallVector<unsigned>> point;
  struct At {
    const Node *node;
    SmallVector<unsigned> loops; // the reader's loop of each of the node's
  };
  SmallVector<At> work{{reader, llvm::to_vector(llvm::seq(0u, numLoops))}};
  DenseMap<const Node *, SmallVector<unsigned>> seen;
  while (!work.empty()) {
    At at = work.pop_back_val();
    for (const Access &access : at.node->operands) {
      Node *producer = access.producer;
      if (!producer || (producer != map && materialized.contains(producer)))
        continue;
      bool isMap = producer->kind == NodeKind::Map && !producer->source;
      SmallVector<unsigned> loops(producer->loops.size(), ~0u);
      unsigned number = cast<OpResult>(access.source).getResultNumber();
      if (producer->resultLoops.size() > number)
        for (auto [linear, loop] :
             llvm::zip(access.index, producer->resultLoops[number]))
          if (std::optional<unsigned> plain = linear.getPlainLoop())
            loops[loop] = at.loops[*plain];
      bool isPoint = isMap && !llvm::is_contained(loops, ~0u);
      if (producer == map) {
        if (!isPoint || (point && *point != loops))
          return std::nullopt;
        point = loops;
        continue;
      }
      // Whatever else is inlined must not hide another access to the map.
      if (!isPoint) {
        SmallVector<const Node *> below{producer};
        while (!below.empty()) {
          const Node *node = below.pop_back_val();
          if (node == map)
            return std::nullopt;
          for (const Access &next : node->operands)
            if (next.producer && (next.producer == map ||
                                  !materialized.contains(next.producer)))
              below.push_back(next.producer);
        }
        continue;
      }
      auto [it, isNew] = seen.try_emplace(producer, loops);
      if (isNew)
        work.push_back({producer, loops});
      else if (it->second != loops)
        return std::nullopt; // read at two points
    }
  }
  if (!point)
    return std::nullopt;
  SmallVector<unsigned> sorted(*point);
  llvm::sort(sorted);
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return std::nullopt;
  // Who reads a part of the map would leave the rest unwritten.
  for (auto [own, loop] : llvm::zip(map->loops, *point))
    if (own.cls != reader->loops[loop].cls ||
        own.extent != reader->loops[loop].extent)
      return std::nullopt;
  return point;
}

bool plan::readsStored(const Nest &nest, const Node *stored,
                       const DenseSet<const Node *> &materialized) {
  SmallVector<const Node *> work = nest.getRoots();
  DenseSet<const Node *> seen(work.begin(), work.end());
  while (!work.empty()) {
    const Node *node = work.pop_back_val();
    for (const Access &access : node->operands) {
      if (access.producer == stored)
        return true;
      if (access.producer && !materialized.contains(access.producer) &&
          seen.insert(access.producer).second)
        work.push_back(access.producer);
    }
  }
  return false;
}

/// Joins the nest of a stored map with that of the first reduction that reads
/// it, so that what is stored is not read back at once.
void NestFormer::formPrologues() {
  for (size_t i = 0; i < nests.size(); ++i) {
    Node *map = nests[i].anchor;
    if (map->kind != NodeKind::Map || map->source || nests[i].sinks.size() != 1 ||
        nests[i].sinks.front() != map || map->op->getNumResults() != 1)
      continue;
    size_t first = i + 1;
    while (first < nests.size() && !readsStored(nests[first], map, materialized))
      ++first;
    if (first == nests.size())
      continue;
    Nest &reader = nests[first];
    if (reader.anchor->kind != NodeKind::Reduction ||
        reader.streamedBy != nests[i].streamedBy)
      continue;
    std::optional<SmallVector<unsigned>> point =
        getPointOfRead(reader.anchor, map, materialized);
    if (!point)
      continue;
    reader.prologues.push_back({map, *point});
    nests.erase(nests.begin() + i);
    --i;
  }
}

void NestFormer::run() {
  chooseStored();
  formEpilogues();
  dropUnreadAnchors();
  createNests();
  moveIntoStreams();
  formPrologues();
}
