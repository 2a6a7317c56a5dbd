//===- System.h - What a machine is, as every pass asks for it ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `hw::System` is the read-only C++ side of a hardware description (the `hw`
// dialect, docs/hardware.md). Passes never look at `hw` ops; they ask this
// class. It holds plain structs, so its users need nothing of MLIR.
//
// A description is recursive: devices nest, each with a count, to any depth.
// Most questions are about one *device that code is generated for*, so a System
// lists exactly those, with what lies above (a node's memory) and below (a
// core complex with its shared cache) folded in: each kind of worker has the
// list of memories it sees, from the innermost outward, each with the number of
// workers that share one instance of it.
//
// Every figure is in SI base units (bytes, seconds, hertz, joules, watts) and
// carries where it came from. A figure that the description leaves out is
// `absent()`; its value is 0.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_HARDWARE_SYSTEM_H
#define HEADRACE_HARDWARE_SYSTEM_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace headrace::hw {

class SystemOp;

/// Where a figure came from. `Absent` means that the description has none.
enum class Provenance { Absent, Assumed, Documented, Measured };
llvm::StringRef stringifyProvenance(Provenance provenance);

/// A number of a description, in SI base units.
struct Figure {
  double value = 0;
  Provenance provenance = Provenance::Absent;

  bool absent() const { return provenance == Provenance::Absent; }
  explicit operator bool() const { return !absent(); }
  double valueOr(double fallback) const { return absent() ? fallback : value; }
};

/// A memory as one kind of worker sees it.
struct Memory {
  /// Who decides what is in it: the hardware (a cache), the program (a
  /// scratchpad, shared memory), or nobody because it is the home of the data
  /// (main memory).
  enum class Kind { Cache, Scratchpad, Main };

  std::string name;
  Kind kind = Kind::Cache;
  /// Capacity of one instance that the program can count on, in bytes.
  Figure bytes;
  /// Bandwidth of one instance, all its sharers together, in bytes per second.
  Figure read, write, ntWrite;
  /// What a single worker reaches alone; never more than the figure above. For
  /// a private memory the two are equal.
  Figure workerRead, workerWrite, workerNtWrite;
  /// Time until a dependent load has its data, in seconds.
  Figure latency;
  /// Unit of transfer in bytes.
  int64_t line = 64;
  /// Lines of a cache that addresses a whole number of spans apart (its bytes
  /// over this) compete for; 0: they do not.
  int64_t ways = 0;
  /// Energy to move one byte in or out, in joules.
  Figure joulesPerByte;
  /// Workers (of this kind) that share one instance; 1 means private.
  int64_t sharers = 1;
  /// Instances in one device.
  int64_t instances = 1;

  bool isPrivate() const { return sharers == 1; }
  /// Bytes per second that each of `users` workers of one instance gets.
  double readShared(double users) const;
  double writeShared(double users, bool nonTemporal = false) const;
  /// Bytes per second that each of `active` workers gets when they all read
  /// (write) and are spread evenly over the instances.
  double readPerWorker(int64_t active) const;
  double writePerWorker(int64_t active, bool nonTemporal = false) const;
  /// Bytes per second for `active` workers together.
  double readTotal(int64_t active) const;
  double writeTotal(int64_t active, bool nonTemporal = false) const;
};

/// Where the operands of an atom must be.
enum class OperandPlace { Registers, TileRegisters, SharedMemory };

/// A scale factor that an atom applies per block of `block` elements along k.
struct Scale {
  std::string type;
  int64_t block = 0;
};

/// An instruction that the code generator can emit: c[m,n] += a[m,k] * b[k,n].
/// Element types are spelled as MLIR spells them: f32, bf16, f8E4M3FN, i8
/// (signed), ui8, ...
struct Atom {
  std::string name;
  /// What lib/Target emits; the names are listed in docs/hardware.md.
  std::string instruction;
  int64_t m = 1, n = 1, k = 1;
  std::string a, b, c;
  std::optional<Scale> aScale, bScale;
  /// Instructions started per cycle and worker (may be below 1).
  Figure perCycle;
  /// Cycles from start to a dependent start.
  Figure latency{4, Provenance::Assumed};
  OperandPlace operands = OperandPlace::Registers;
  /// Name of the innermost memory that operands stream from; empty if they
  /// may only be in registers.
  std::string from;
  /// CPU features that must be there, LLVM's names.
  std::vector<std::string> needs;
  /// Clock of the worker in hertz (repeated here so that an Atom is enough).
  double clock = 0;
  /// Energy of one multiply-add, in joules.
  Figure joulesPerMac;

  int64_t macs() const { return m * n * k; }
  /// Multiply-adds count as two operations.
  double flopsPerSecond() const {
    return 2.0 * double(macs()) * perCycle.value * clock;
  }
};

/// What steps of code take on a worker where its atoms do not say. The values
/// are those of descriptions that have no `hw.costs`.
struct Costs {
  /// Cycles that start a vector whose elements are widened, and one that is put
  /// together of two others.
  Figure convert{1, Provenance::Assumed}, shuffle{1, Provenance::Assumed};
  /// Cycles of an element that is loaded into, or stored from, a lane by itself.
  Figure gather{1.5, Provenance::Assumed}, scatter{2.5, Provenance::Assumed};
  /// Cycles of a vector in a square that is transposed in registers.
  Figure transpose{2, Provenance::Assumed};
  /// Cycles in which the lanes of a vector are added up.
  Figure fold{12, Provenance::Assumed};
  /// Pages whose translations are at hand, and cycles of a load from another,
  /// beside others.
  Figure translations{64, Provenance::Assumed};
  Figure pageMiss{2, Provenance::Assumed};
  /// Cycles of a load, beside others, whose line was pushed out of the innermost
  /// cache.
  Figure evicted{4, Provenance::Assumed};
  /// The part of a cache that data may fill and is still there when it is read
  /// again.
  Figure held{0.75, Provenance::Assumed};
  /// The part of the shorter of two things that does not hide behind the longer:
  /// loads and arithmetic; a stage's computing and its traffic beyond the private
  /// memories.
  Figure unhidden{0.1, Provenance::Assumed};
  Figure unhiddenMemory{0.2, Provenance::Assumed};
  /// Seconds that a tile takes to begin.
  Figure tile{50e-9, Provenance::Assumed};
};

/// A kind of thing that executes a timeline.
struct Worker {
  std::string name;
  /// Free text that tells kinds apart: "big", "little", "sm"; may be empty.
  std::string kind;
  /// Workers of this kind in one device.
  int64_t count = 1;
  Figure clock; // hertz
  /// Vector registers that hold operands, and bits of each.
  int64_t registers = 0, registerBits = 0;
  /// Tile registers (AMX); 0 if there are none.
  int64_t tileRegisters = 0, tileRegisterBits = 0;
  /// Vector registers loaded, and instructions started, per cycle.
  Figure loads{2, Provenance::Assumed}, issue{4, Provenance::Assumed};
  /// An operand of arithmetic may be one element in memory, for all lanes.
  bool hasBroadcastOperand = false;
  Costs costs;
  /// Hardware threads per worker that share its private memories; a worker
  /// stands for all of them.
  int64_t smt = 1;
  /// Lanes that run in lockstep (a warp); 1 on CPUs.
  int64_t subgroup = 1;
  /// Threads a worker keeps in flight to hide latency; 1 on CPUs.
  int64_t threads = 1;
  /// The memories seen, from the innermost outward.
  std::vector<Memory> levels;
  /// Sorted by throughput, highest first.
  std::vector<Atom> atoms;

  /// The level of that name, or null.
  const Memory *getLevel(llvm::StringRef levelName) const;
  /// The innermost level of which the program decides what is in it, or null.
  const Memory *getScratchpad() const;
  /// The outermost level whose one instance serves this worker alone, or null.
  const Memory *getOutermostPrivate() const;
  /// The home of the data: the innermost level of that kind, or the outermost
  /// level where there is none (a machine that is all SRAM).
  const Memory *getMainMemory() const;
  /// Atoms for these element types, fastest first.
  std::vector<const Atom *> getAtoms(llvm::StringRef a, llvm::StringRef b,
                                     llvm::StringRef c) const;
  /// The fastest of them, or null.
  const Atom *getAtom(llvm::StringRef a, llvm::StringRef b,
                      llvm::StringRef c) const;
  /// Peak rate of one worker; 0 if there is no atom.
  double flopsPerSecond(llvm::StringRef a, llvm::StringRef b,
                        llvm::StringRef c) const;
  /// The same for f32 multiply-adds, 0 if there is no such atom.
  double f32FlopsPerSecond() const {
    return flopsPerSecond("f32", "f32", "f32");
  }
  /// Elements of `bits` bits in a vector register.
  int64_t vectorLanes(int64_t bits) const { return registerBits / bits; }
};

/// A thing that copies on its own: DMA, TMA, a copy engine, a NIC.
struct Mover {
  std::string name;
  int64_t count = 1;
  Figure bandwidth; // bytes per second, each
  Figure latency;   // seconds from command to first byte
  /// Names of the memories it copies between.
  std::string from, to;
  /// Copies that may be in flight at once; 0 if unlimited.
  int64_t outstanding = 0;
};

/// A connection between memories of different devices.
struct Link {
  enum class Topology { Point, Bus, Ring, Switch, Mesh, AllToAll };
  std::string name;
  /// Paths from the system, "gpu.hbm".
  std::string from, to;
  Topology topology = Topology::Point;
  Figure bandwidth; // bytes per second, one direction, per endpoint
  Figure latency;   // seconds
  int64_t count = 1;
  bool duplex = true;
};

/// What it costs to wait for another worker.
struct Sync {
  /// From the signal of one worker until another, spinning, has seen it.
  Figure cost{200e-9, Provenance::Assumed}; // seconds
  /// From the signal until a sleeping worker runs.
  Figure wake; // seconds
  /// Counters are this far apart, so that two never share a line.
  int64_t counterStride = 64;
};

/// Facts for code generation that vendors document badly.
struct CodegenFacts {
  /// The fence that a signal needs after non-temporal stores ("sfence"), or
  /// empty if ordinary release order covers them.
  std::string ntStoreFence;
  /// The same for stores of an asynchronous proxy ("fence.proxy.async").
  std::string asyncFence;
  /// How to load past the caches ("nta", "ldnp"); empty if there is no way worth
  /// taking.
  std::string bypassLoad;
  /// How far ahead of its use a stream is worth prefetching, in bytes.
  Figure prefetchDistance;
  /// Result size from which non-temporal stores pay, in bytes.
  Figure ntStoreFrom;
  /// Cycles that a denormal operand or result costs.
  Figure denormalCycles;
  /// Throughput of a load that crosses a line, relative to one that does not.
  Figure lineCrossing{0.5, Provenance::Assumed};
  /// Bytes of a page of main memory.
  int64_t page = 4096;
  /// Atoms that treat denormals as zero, by name.
  std::vector<std::string> flushesDenormals;
};

/// A device that code is generated for.
struct Device {
  std::string name;
  /// How many of it the system has.
  int64_t count = 1;
  /// The family: "x86_64", "aarch64", "nvptx", "amdgpu".
  std::string codegen;
  /// Target triple, CPU to schedule for, and features, as LLVM wants them.
  std::string triple, cpu;
  std::vector<std::string> features;
  std::vector<Worker> workers;
  std::vector<Mover> movers;
  Sync sync;
  CodegenFacts facts;
  /// Dollars per hour, watts when busy and when idle, of one device.
  Figure pricePerHour, watts, idleWatts;
  /// Nodes of memory and workers with their own main memory (1 if uniform).
  int64_t numaNodes = 1;

  bool hasFeature(llvm::StringRef feature) const;
  /// Features as "+a,+b", for LLVM's TargetMachine.
  std::string getFeatureString() const;
  /// The kind of worker with the most throughput in f32 (or the first).
  const Worker &getWorker() const;
  /// Workers of all kinds.
  int64_t getWorkerCount() const;
  const Mover *getMover(llvm::StringRef moverName) const;
};

/// A whole description; immutable and cheap to pass by reference.
class System {
public:
  /// Parses the text of a description (a module with one `hw.system`, or the
  /// first of several). On failure `error` has every diagnostic, one per line,
  /// each with file, line and column.
  static mlir::FailureOr<System> parse(llvm::StringRef text,
                                       llvm::StringRef fileName,
                                       std::string &error);
  static mlir::FailureOr<System> loadFile(llvm::StringRef path,
                                          std::string &error);
  /// `target` is "native", a path to a file (has a '/' or ends in .mlir), a
  /// description in the user's target folder, or one that is shipped.
  static mlir::FailureOr<System> load(llvm::StringRef target,
                                      std::string &error);
  /// The machine the compiler runs on; see docs/hardware.md, "native".
  static mlir::FailureOr<System> native(std::string &error);
  /// From a verified op.
  static System fromOp(SystemOp op);

  /// Names of the shipped descriptions, sorted.
  static std::vector<std::string> getShippedNames();
  /// Text of a shipped description, or std::nullopt.
  static std::optional<llvm::StringRef> getShippedText(llvm::StringRef name);
  /// Names of descriptions in the user's target folder, sorted.
  static std::vector<std::string> getUserNames();
  /// Where the probed description is looked for and written to.
  static std::string getProbedPath();
  /// The shipped description whose required features this machine has, and
  /// that asks for the most of them.
  static std::string
  matchShipped(llvm::StringRef codegen,
               llvm::ArrayRef<std::string> hostFeatures);
  /// CPU features of this machine that the operating system lets us use.
  static std::vector<std::string> getHostFeatures();
  static std::string getHostCodegen();
  /// CPUs that this process may run on, at most what its control groups
  /// allow.
  static int64_t getHostWorkerCount();

  llvm::StringRef getName() const { return name; }
  llvm::StringRef getSummary() const { return summary; }
  /// The description as text, as it was read.
  llvm::StringRef getText() const { return text; }
  llvm::ArrayRef<Device> getDevices() const { return devices; }
  /// The device programs run on when nothing else is said: the first.
  const Device &getDevice() const { return devices.front(); }
  const Device *getDevice(llvm::StringRef deviceName) const;
  llvm::ArrayRef<Link> getLinks() const { return links; }
  /// Price and power of everything together; absent if no part states any.
  Figure getPricePerHour() const { return pricePerHour; }
  Figure getWatts() const { return watts; }

  /// The same machine with `count` workers of the first kind in its first
  /// device; what is shared is shared by fewer or more.
  System withWorkers(int64_t count) const;

private:
  std::string name, summary, text;
  std::vector<Device> devices;
  std::vector<Link> links;
  Figure pricePerHour, watts;
  friend struct SystemBuilder;
};

} // namespace headrace::hw
#endif // HEADRACE_HARDWARE_SYSTEM_H
