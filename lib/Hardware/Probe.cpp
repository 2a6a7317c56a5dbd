//===- Probe.cpp - Measures the machine at hand ---------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Steps:
//   1. What the operating system says: CPUs we may use, caches, memory.
//   2. One worker: clock, rate of each atom, latency of a multiply-add.
//   3. Each memory level: bandwidth of one worker and of all, latency. A cache
//      that the system reports but that is no faster than what lies behind it
//      is left out; the outermost cache is cut to the size up to which it
//      really is faster, because virtual machines share it with strangers.
//   4. Two workers: the time of a signal, spinning and sleeping.
//   5. The description as text.
// Every measurement is repeated and the fastest run counts: noise only slows. What
// is no noise but another program's work is waited for, or refused (ProbeLoad).
//
//===----------------------------------------------------------------------===//

#include "headrace/Hardware/Probe.h"
#include "ProbeLoad.h"
#include "ProbeMachine.h"
#include "ProbeText.h"
#include "headrace/Support/OutputFile.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <cstring>
#include <sched.h>
#include <unistd.h>

using namespace mlir;
using namespace headrace;
using namespace headrace::hw;

namespace {
/// Fills figures, step by step.
class Probe {
public:
  Probe(Prober &prober, ArrayRef<std::string> features, const System &base)
      : prober(prober), options(prober.options), kernels(prober.kernels),
        base(base.getDevice().getWorker()), codegen(base.getDevice().codegen) {
    for (const std::string &feature : features)
      has.insert(feature);
    figures.workers = prober.workers;
    figures.registers = kernels.registers;
    figures.registerBits = kernels.registerBits;
  }
  /// Clock, atoms, costs of one worker.
  void measureWorker();
  void measureLevels(ArrayRef<ProbeCache> caches, int64_t memory);
  void measureSignals();

  ProbeFigures figures;

private:
  double measureClock() {
    return measureRate(kernels.cycles, options.slice);
  }
  void addAtom(StringRef name, StringRef shape, StringRef types,
               StringRef instruction, std::vector<std::string> needs,
               probe_kernels::Rate rate, double latency, bool tiles = false) {
    figures.atoms.push_back({name.str(), shape.str(), types.str(),
                             instruction.str(), std::move(needs),
                             measureRate(rate, options.slice), latency, tiles});
  }
  double getBaseLatency(StringRef name) const {
    for (const Atom &atom : base.atoms)
      if (atom.name == name)
        return atom.latency.value;
    return 0;
  }
  void measureAtoms();
  void measureTiles();
  void measureCosts();
  void measureLevel(LevelFigure &level, size_t bytes, size_t allBytes);
  /// A cache that is no faster than main memory is none.
  void measureCache(const ProbeCache &cache, bool isFirst, bool isLast,
                    int64_t innerBytes, const LevelFigure &main);

  Prober &prober;
  const ProbeOptions &options;
  const probe_kernels::Kernels &kernels;
  const Worker &base;
  StringRef codegen;
  llvm::StringSet<> has;
};
} // namespace

//===----------------------------------------------------------------------===//
// One worker
//===----------------------------------------------------------------------===//

void Probe::measureAtoms() {
  bool avx512 = kernels.registerBits == 512;
  auto lanesOf = [&](int64_t bits) {
    return "1 x " + std::to_string(kernels.registerBits / bits) + " x 1";
  };
  std::vector<std::string> fmaNeeds = {codegen == "aarch64" ? "neon"
                                       : avx512             ? "avx512f"
                                                            : "fma"};
  addAtom("fma", lanesOf(32), "f32, f32 -> f32", "vector.fma", fmaNeeds,
          kernels.f32, -1);
  addAtom("fma_f64", lanesOf(64), "f64, f64 -> f64", "vector.fma", fmaNeeds,
          kernels.f64, -1);
#if defined(__x86_64__)
  if (avx512 && has.contains("avx512fp16"))
    addAtom("fma_f16", "1 x 32 x 1", "f16, f16 -> f16", "vector.fma",
            {"avx512fp16"}, probe_kernels::f16Avx512(), -1);
  if (avx512 && has.contains("avx512bf16"))
    addAtom("dot_bf16", "1 x 16 x 2", "bf16, bf16 -> f32", "x86.vdpbf16ps",
            {"avx512bf16"}, probe_kernels::bf16DotAvx512(),
            getBaseLatency("dot_bf16"));
  if (avx512 && has.contains("avx512vnni"))
    addAtom("vnni", "1 x 16 x 4", "ui8, i8 -> i32", "x86.vpdpbusd",
            {"avx512vnni"}, probe_kernels::vnniAvx512(),
            getBaseLatency("vnni"));
  else if (has.contains("avxvnni"))
    addAtom("vnni", "1 x 8 x 4", "ui8, i8 -> i32", "x86.vpdpbusd",
            {"avxvnni"}, probe_kernels::vnniAvx2(), getBaseLatency("vnni"));
#endif
}

void Probe::measureTiles() {
#if defined(__x86_64__)
  if (!has.contains("amx-tile") || !probe_kernels::requestTiles())
    return;
  figures.tiles = true;
  probe_kernels::loadTileConfig();
  if (has.contains("amx-bf16"))
    addAtom("tile_bf16", "16 x 16 x 32", "bf16, bf16 -> f32",
            "x86.tdpbf16ps", {"amx-tile", "amx-bf16"},
            probe_kernels::tileBf16(), getBaseLatency("tile_bf16"), true);
  if (has.contains("amx-int8")) {
    addAtom("tile_i8", "16 x 16 x 64", "i8, i8 -> i32", "x86.tdpbssd",
            {"amx-tile", "amx-int8"}, probe_kernels::tileI8(),
            getBaseLatency("tile_i8"), true);
    // The unsigned sibling is the same unit at the same rate.
    AtomFigure sibling = figures.atoms.back();
    sibling.name = "tile_u8i8";
    sibling.types = "ui8, i8 -> i32";
    sibling.instruction = "x86.tdpbusd";
    figures.atoms.push_back(sibling);
  }
  probe_kernels::releaseTiles();
#endif
}

void Probe::measureCosts() {
  auto cyclesOf = [&](probe_kernels::Rate rate) {
    return figures.clock / measureRate(rate, options.slice);
  };
  figures.shuffle = cyclesOf(kernels.shuffle);
  figures.convert = cyclesOf(kernels.convert);
  figures.gather = cyclesOf(kernels.gather);
  figures.scatter = cyclesOf(kernels.scatter);
  figures.denormalCycles = cyclesOf(probe_kernels::denormalChain()) -
                           cyclesOf(probe_kernels::normalChain());
}

void Probe::measureWorker() {
  prober.say("clock and atoms");
  // The clock is measured beside the rates, before and after, and the faster
  // counts, as it does for the rates.
  double before = measureClock();
  double chainRate = measureRate(kernels.f32Chain, options.slice);
  measureAtoms();
  measureTiles();
  figures.clock = std::max(before, measureClock());
  figures.fmaLatency = std::rint(figures.clock / chainRate);
  measureCosts();
}

//===----------------------------------------------------------------------===//
// Memories and signals
//===----------------------------------------------------------------------===//

void Probe::measureLevel(LevelFigure &level, size_t bytes, size_t allBytes) {
  level.workerRead = prober.measureStream(kernels.read, bytes, 1);
  level.workerWrite = prober.measureStream(kernels.write, bytes, 1);
  level.latency = prober.measureLatency(
      std::min<size_t>(bytes, size_t(256) << 20), level.line);
  if (level.main)
    level.workerNtWrite = prober.measureStream(kernels.ntWrite, bytes, 1);
  if (level.sharers <= 1 || prober.workers == 1) {
    level.read = level.workerRead;
    level.write = level.workerWrite;
    level.ntWrite = level.workerNtWrite;
    return;
  }
  // The best over numbers of workers: more is not always faster.
  for (int64_t active = 2;; active = std::min(active * 2, prober.workers)) {
    size_t each = std::max<size_t>(allBytes / active, 1024);
    auto add = [&](double &best, probe_kernels::Stream stream) {
      best = std::max(best, prober.measureStream(stream, each, active));
    };
    add(level.read, kernels.read);
    add(level.write, kernels.write);
    if (level.main)
      add(level.ntWrite, kernels.ntWrite);
    if (active == prober.workers)
      break;
  }
}

void Probe::measureCache(const ProbeCache &cache, bool isFirst, bool isLast,
                         int64_t innerBytes, const LevelFigure &main) {
  LevelFigure level;
  level.name = ("l" + Twine(cache.level)).str();
  level.line = cache.line;
  level.ways = cache.ways;
  level.sharers = std::min(cache.sharers, prober.workers);
  level.bytes = cache.bytes;
  level.bytesSource = "documented";
  prober.say("cache " + level.name);
  if (isFirst)
    figures.crossing =
        prober.measureStream(kernels.readCrossing, size_t(cache.bytes) / 2, 1) /
        prober.measureStream(kernels.read, size_t(cache.bytes) / 2, 1);
  if (isLast) {
    // How much of the last level is really ours: halve the size until it reads
    // clearly faster than main memory.
    size_t size = std::min<size_t>(cache.bytes, prober.block.size / 2);
    size_t least = size_t(innerBytes) * 2;
    while (size >= least && prober.measureStream(kernels.read, size, 1) <
                                1.35 * main.workerRead)
      size /= 2;
    if (size < least)
      return;
    if (int64_t(size) < cache.bytes)
      level.bytesSource = "measured";
    level.bytes = int64_t(size);
  }
  // Three quarters: the rest of the cache is never ours alone.
  size_t bytes = size_t(level.bytes) / 4 * 3;
  measureLevel(level,
               std::min(bytes, prober.block.size / size_t(prober.workers)),
               bytes);
  if (level.workerRead >= 1.1 * main.workerRead)
    figures.levels.push_back(level);
}

void Probe::measureLevels(ArrayRef<ProbeCache> caches, int64_t memory) {
  prober.say("main memory");
  LevelFigure dram;
  dram.name = "dram";
  dram.main = true;
  dram.bytes = memory >> 20 << 20;
  dram.bytesSource = "documented";
  dram.line = caches.front().line;
  dram.sharers = prober.workers;
  measureLevel(dram, prober.block.size, prober.block.size);
  for (auto [i, cache] : llvm::enumerate(caches))
    measureCache(cache, i == 0, i > 0 && i + 1 == caches.size(),
                 i > 0 ? caches[i - 1].bytes : 0, dram);
  std::vector<LevelFigure> &levels = figures.levels;
  levels.push_back(dram);
  // Noise must not make an inner level look farther than an outer one.
  for (size_t i = levels.size() - 1; i > 0; --i)
    levels[i - 1].latency = std::min(levels[i - 1].latency, levels[i].latency);
}

void Probe::measureSignals() {
  if (prober.cpus.size() < 2)
    return;
  prober.say("signals between workers");
  figures.spin = prober.measureSpin();
  figures.wake = prober.measureWake();
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

FailureOr<std::string> hw::probe(const ProbeOptions &options,
                                 std::string &error) {
  // 1. What the operating system says, and the nearest shipped description.
  std::vector<std::string> features = System::getHostFeatures();
  std::string baseName =
      System::matchShipped(System::getHostCodegen(), features);
  if (baseName.empty()) {
    error = "cannot probe: this CPU has too few features (x86-64 needs AVX2 "
            "and FMA, AArch64 NEON)";
    return failure();
  }
  FailureOr<System> base = System::load(baseName, error);
  if (failed(base))
    return failure();
  std::vector<int> cpus = getProbeCpus();
  int64_t workers = options.workers > 0
                        ? std::min<int64_t>(options.workers, cpus.size())
                        : std::min<int64_t>(cpus.size(),
                                            System::getHostWorkerCount());
  ProbeLoad load(ArrayRef(cpus).take_front(workers));
  auto note = [&](StringRef text) {
    if (options.note)
      options.note(text);
  };
  if (!load.waitUntilIdle(options.mostTaken, options.patience, note, error))
    return failure();
  int64_t memory = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);

  // Large enough to be out of a last-level cache of 128 MiB that strangers
  // share, small enough for a small machine.
  size_t blockSize = std::min<size_t>(size_t(1) << 30, size_t(memory) / 4);
  blockSize = std::max<size_t>(blockSize, size_t(64) << 20) &
              ~(size_t(2 << 20) - 1);
  MappedBlock block(blockSize);
  if (!block.data) {
    error = "cannot probe: no memory for a block of " +
            std::to_string(blockSize) + " bytes";
    return failure();
  }
  auto hasFeature = [&](StringRef feature) {
    return llvm::is_contained(features, feature);
  };
  Prober prober{options, cpus, workers,
                probe_kernels::select(
                    hasFeature("avx512f") && hasFeature("avx512bw"),
                    hasFeature("avx2")),
                block};
  Probe run(prober, features, *base);

  // Everything that one worker does runs on the first CPU; the caller's mask
  // comes back at the end.
  cpu_set_t callersMask;
  bool restoreMask =
      sched_getaffinity(0, sizeof(callersMask), &callersMask) == 0;
  pinTo(cpus.front());
  std::memset(block.data, 0, block.size);
  load.begin();
  // 2. to 4.
  run.measureWorker();
  run.measureLevels(getProbeCaches(cpus.front()), memory);
  run.measureSignals();
  double taken = load.getTaken();
  if (restoreMask)
    sched_setaffinity(0, sizeof(callersMask), &callersMask);
  if (taken > options.mostTaken) {
    error = "cannot probe: other programs, or other machines on this one, took " +
            std::to_string(int64_t(std::rint(taken * 100))) +
            " % of the time of the measurements; try again when the machine is "
            "idle";
    return failure();
  }

  // 5. What we wrote must be what the compiler reads.
  std::string text = describe(run.figures, *base, baseName, options.name);
  if (failed(System::parse(text, options.name + ".mlir", error)))
    return failure();
  return text;
}

LogicalResult hw::probeToFile(StringRef path, const ProbeOptions &options,
                              std::string &error) {
  // Fail before measuring for twenty seconds, not after.
  if (path == System::getProbedPath()) {
    StringRef dir = llvm::sys::path::parent_path(path);
    if (std::error_code ec = llvm::sys::fs::create_directories(dir)) {
      error = ("cannot create folder '" + dir + "': " + ec.message()).str();
      return failure();
    }
  }
  OutputFiles files;
  OutputFile *file = files.add(path.str(), error);
  if (!file)
    return failure();
  FailureOr<std::string> text = probe(options, error);
  return success(succeeded(text) &&
                 file->write(text->data(), text->size(), error) &&
                 files.commit(error));
}
