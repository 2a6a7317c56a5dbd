//===- Machine.cpp - The hardware description in a report -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Parts.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::report;
using llvm::json::Array;
using llvm::json::Object;

/// Adds a figure with its provenance; nothing where the description has none.
static void add(Object &object, StringRef key, const hw::Figure &figure) {
  if (!figure.absent())
    object[key] = Object{{"value", figure.value},
                         {"from", hw::stringifyProvenance(figure.provenance)}};
}

static StringRef getKindName(hw::Memory::Kind kind) {
  switch (kind) {
  case hw::Memory::Kind::Cache:
    return "cache";
  case hw::Memory::Kind::Scratchpad:
    return "scratchpad";
  case hw::Memory::Kind::Main:
    break;
  }
  return "main";
}

Object report::describeMachine(const hw::System &system) {
  const hw::Device &device = system.getDevice();
  const hw::Worker &worker = device.getWorker();
  Object result{{"name", system.getName()},
                {"summary", system.getSummary()},
                {"device", device.name},
                {"codegen", device.codegen},
                {"cpu", device.cpu},
                {"features", Array(device.features)}};
  Object kind{{"name", worker.name},
              {"count", worker.count},
              {"registers", worker.registers},
              {"register_bits", worker.registerBits}};
  add(kind, "clock_hz", worker.clock);
  result["worker"] = std::move(kind);
  Array memories, atoms;
  for (const hw::Memory &memory : worker.levels) {
    Object level{{"name", memory.name},
                 {"kind", getKindName(memory.kind)},
                 {"line_bytes", memory.line},
                 {"workers_per_instance", memory.sharers},
                 {"instances", memory.instances}};
    add(level, "bytes", memory.bytes);
    add(level, "read_bytes_per_second", memory.read);
    add(level, "write_bytes_per_second", memory.write);
    add(level, "worker_read_bytes_per_second", memory.workerRead);
    add(level, "worker_write_bytes_per_second", memory.workerWrite);
    add(level, "latency_seconds", memory.latency);
    add(level, "joules_per_byte", memory.joulesPerByte);
    memories.push_back(std::move(level));
  }
  for (const hw::Atom &atom : worker.atoms) {
    Object one{{"name", atom.name},
               {"instruction", atom.instruction},
               {"lhs", atom.a},
               {"rhs", atom.b},
               {"sum", atom.c},
               {"shape", Array{atom.m, atom.n, atom.k}},
               {"flops_per_second", atom.flopsPerSecond()}};
    add(one, "per_cycle", atom.perCycle);
    add(one, "joules_per_multiply_add", atom.joulesPerMac);
    atoms.push_back(std::move(one));
  }
  result["memories"] = std::move(memories);
  result["atoms"] = std::move(atoms);
  add(result, "sync_seconds", device.sync.cost);
  add(result, "price_per_hour", device.pricePerHour);
  add(result, "watts", device.watts);
  return result;
}

double report::getBestRate(const hw::Worker &worker, Type lhs, Type rhs) {
  std::string a = toText(lhs), b = toText(rhs);
  double best = 0;
  for (const hw::Atom &atom : worker.atoms)
    if (atom.a == a && atom.b == b)
      best = std::max(best, atom.flopsPerSecond());
  return best > 0 ? best : worker.f32FlopsPerSecond();
}
