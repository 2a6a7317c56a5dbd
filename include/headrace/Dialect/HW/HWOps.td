//===- HWOps.td - Ops of the hw dialect --------------------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All ops share one syntax: a name, perhaps a count, a list of fields in
// parentheses, perhaps a body. The table of each op's fields is in HWOps.cpp;
// it drives parser, printer and the checks of units.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_HW_HWOPS
#define HEADRACE_DIALECT_HW_HWOPS

include "headrace/Dialect/HW/HWAttrs.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"

class HW_Op<string mnemonic, list<Trait> traits = []>
    : Op<HW_Dialect, mnemonic, traits> {
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

/// An op whose body holds other ops, each with a name unique in it.
class HW_Scope<string mnemonic, list<Trait> traits = []>
    : HW_Op<mnemonic, traits # [Symbol, SymbolTable, SingleBlock,
                                NoTerminator, NoRegionArguments]> {
  let regions = (region SizedRegion<1>:$body);
}

def HW_SystemOp : HW_Scope<"system", []> {
  let summary = "a whole machine";
  let description = [{
    Holds memories, devices, links and movers. What is directly in the system
    (a node's main memory, say) is seen by all its devices.

    At least one device, at any depth, must have `codegen` and a worker.

    ```mlir
    hw.system @two_core (summary = "a small machine") {
      hw.memory @dram (kind = main, bytes = 24 GiB documented,
                       read = 32 GB/s measured, write = 18 GB/s measured)
      hw.device @cpu (codegen = x86_64, features = ["avx2", "fma"]) {
        hw.worker @core x 2 (clock = 3.5 GHz measured,
                             registers = 16 x 256 bit) {
          hw.memory @l1 (bytes = 48 KiB documented, read = 333 GB/s measured)
          hw.atom @fma 1 x 8 x 1 f32, f32 -> f32
            (instruction = "x86.fma", per_cycle = 2 documented,
             latency = 4 cycles documented, from = @l1, needs = ["fma"])
        }
        hw.sync (cost = 170 ns measured)
      }
    }
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    OptionalAttr<StrAttr>:$summary,      // one line for --print-targets
    OptionalAttr<HW_FigureAttr>:$price,  // dollars per hour, beside devices'
    OptionalAttr<HW_FigureAttr>:$watts); // beside the devices'
  // After its devices': a broken device says more than a missing one.
  let hasRegionVerifier = 1;
}

def HW_DeviceOp : HW_Scope<"device", [ParentOneOf<["SystemOp", "DeviceOp"]>]> {
  let summary = "a part of a machine, `x N` of it";
  let description = [{
    Groups what belongs together: a CPU, a socket, a core complex around its
    shared cache, a GPU, a node of a rack. Devices nest. Code is generated for
    a device with `codegen`; devices inside it are its parts and have none of
    their own. Memories outside it are seen by its workers as further levels.

    `features` are LLVM's names; a machine that lacks one of them cannot run
    the code. `cpu` is what LLVM schedules for, `triple` is needed only where
    the family does not imply it. `price` and `watts` are of one device.
    `numa` is the number of groups of workers with a main memory of their own.

    ```mlir
    hw.device @gpu x 8 (codegen = nvptx, cpu = "sm_90a",
                        watts = 700 W documented) {
      hw.memory @hbm (kind = main, bytes = 80 GiB documented,
                      read = 3.35 TB/s documented, write = 3.35 TB/s documented)
      hw.worker @sm x 132 (clock = 1.755 GHz documented,
                           registers = 65536 x 32 bit, subgroup = 32)
    }
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    I64Attr:$count,                            // instances in the parent
    OptionalAttr<HW_CodegenAttr>:$codegen,     // code generator family
    OptionalAttr<StrAttr>:$triple,             // LLVM target triple
    OptionalAttr<StrAttr>:$cpu,                // LLVM CPU name
    OptionalAttr<StrArrayAttr>:$features,      // LLVM feature names
    OptionalAttr<HW_FigureAttr>:$price,        // dollars per hour, each
    OptionalAttr<HW_FigureAttr>:$watts,        // busy, each
    OptionalAttr<HW_FigureAttr>:$idle_watts,   // idle, each
    OptionalAttr<I64Attr>:$numa);              // groups with own memory
}

def HW_MemoryOp : HW_Op<"memory", [Symbol,
    ParentOneOf<["SystemOp", "DeviceOp", "WorkerOp"]>]> {
  let summary = "a memory: how large, how fast, shared by whom";
  let description = [{
    Where the op stands says who shares it: in a worker it is private to it, in
    a device all workers below share one instance. Memories of one body are
    listed from the outermost inward. Any level may be absent: a machine that
    is all SRAM has no `main` memory and is legal.

    `bytes` is what a program can count on, not what a virtual machine reports.
    Bandwidths are those of one instance with all sharers together;
    `worker_read` and its siblings say what a worker reaches alone, when that is
    less. Absent `write` means as fast as `read`, absent `nt_write` means that
    cache-bypassing stores gain nothing.

    Addresses that lie `bytes` / `ways` apart compete for `ways` lines of a cache;
    where it is absent, they do not compete.

    The verifier checks signs, that a worker's bandwidth is not above the
    level's, that the line is a power of two, and that latency does not fall
    outward. It does not check plausibility.

    ```mlir
    hw.memory @dram (kind = main, bytes = 24 GiB documented,
                     read = 32 GB/s measured, write = 18 GB/s measured,
                     nt_write = 46 GB/s measured,
                     worker_read = 16 GB/s measured, latency = 110 ns assumed,
                     line = 64, energy = 120 pJ/B assumed)
    hw.memory @l1 (bytes = 32 KiB documented, read = 224 GB/s documented,
                   line = 64, ways = 8)
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    OptionalAttr<HW_MemoryKindAttr>:$kind,        // cache if absent
    HW_FigureAttr:$bytes,                         // bytes
    HW_FigureAttr:$read,                          // bytes per second
    OptionalAttr<HW_FigureAttr>:$write,           // bytes per second
    OptionalAttr<HW_FigureAttr>:$nt_write,        // bytes per second
    OptionalAttr<HW_FigureAttr>:$worker_read,     // bytes per second
    OptionalAttr<HW_FigureAttr>:$worker_write,    // bytes per second
    OptionalAttr<HW_FigureAttr>:$worker_nt_write, // bytes per second
    OptionalAttr<HW_FigureAttr>:$latency,         // seconds
    OptionalAttr<I64Attr>:$line,                  // bytes; 64 if absent
    OptionalAttr<I64Attr>:$ways,                  // lines of a set
    OptionalAttr<HW_FigureAttr>:$energy);         // joules per byte
}

def HW_WorkerOp : HW_Scope<"worker", [ParentOneOf<["DeviceOp"]>]> {
  let summary = "a thing that executes a timeline, `x N` of it";
  let description = [{
    A CPU core, a streaming multiprocessor, a compute unit. Workers of several
    kinds (big and little cores) are several ops. A worker stands for all its
    `smt` hardware threads, which share what is inside it. `subgroup` is the
    number of lanes in lockstep, `threads` how many are kept in flight. In a
    cycle it starts `issue` instructions, of which `loads` load a whole register;
    with `broadcast_operand` an operand of arithmetic may be one element in
    memory, for all lanes.

    ```mlir
    hw.worker @core x 8 (clock = 3.8 GHz measured, registers = 32 x 512 bit,
                         tile_registers = 8 x 8192 bit,
                         loads = 2 documented, issue = 4 assumed,
                         broadcast_operand, smt = 2) {
      hw.memory @l2 (bytes = 2 MiB documented, read = 175 GB/s measured)
      hw.memory @l1 (bytes = 48 KiB documented, read = 333 GB/s measured)
    }
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    I64Attr:$count,                                 // instances in the parent
    OptionalAttr<StrAttr>:$kind,                    // "big", "little", "sm"
    HW_FigureAttr:$clock,                           // hertz
    HW_RegistersAttr:$registers,                    // vector registers
    OptionalAttr<HW_RegistersAttr>:$tile_registers, // matrix tiles
    OptionalAttr<HW_FigureAttr>:$loads,             // registers per cycle
    OptionalAttr<HW_FigureAttr>:$issue,             // instructions per cycle
    UnitAttr:$broadcast_operand,
    OptionalAttr<I64Attr>:$smt,                     // 1 if absent
    OptionalAttr<I64Attr>:$subgroup,                // 1 if absent
    OptionalAttr<I64Attr>:$threads);                // 1 if absent
}

def HW_CostsOp : HW_Op<"costs", [ParentOneOf<["WorkerOp"]>]> {
  let summary = "what steps of code take on a worker where its atoms do not say";
  let description = [{
    In cycles, beside other work: of a vector whose elements are widened
    (`convert`), that is put together of two others (`shuffle`), that passes
    through a square transposed in registers (`transpose`), or whose lanes are
    added up (`fold`); of an element that is loaded into a lane (`gather`) or
    stored from one (`scatter`) by itself; of a load from a page that is not among
    the last `translations` ones (`page_miss`), and of a load whose line was pushed
    out of the innermost cache (`evicted`).

    `held` is the part of a cache that data may fill and is still there when it
    is read again. Of two things beside each other, a part of the shorter one does
    not hide: `unhidden` of arithmetic and loads, `unhidden_memory` of a stage's
    computing and its traffic beyond the private memories. `tile` is what a tile
    takes to begin. At most one per worker; what is absent is as in
    `hw::Costs`.

    ```mlir
    hw.costs (gather = 1.5 cycles measured, scatter = 2.5 cycles assumed,
              translations = 64 documented, tile = 50 ns assumed)
    ```
  }];
  let arguments = (ins
    OptionalAttr<HW_FigureAttr>:$convert,         // cycles per vector
    OptionalAttr<HW_FigureAttr>:$shuffle,         // cycles per vector
    OptionalAttr<HW_FigureAttr>:$gather,          // cycles per element
    OptionalAttr<HW_FigureAttr>:$scatter,         // cycles per element
    OptionalAttr<HW_FigureAttr>:$transpose,       // cycles per vector
    OptionalAttr<HW_FigureAttr>:$fold,            // cycles per vector
    OptionalAttr<HW_FigureAttr>:$translations,    // plain number
    OptionalAttr<HW_FigureAttr>:$page_miss,       // cycles
    OptionalAttr<HW_FigureAttr>:$evicted,         // cycles
    OptionalAttr<HW_FigureAttr>:$held,            // plain number
    OptionalAttr<HW_FigureAttr>:$unhidden,        // plain number
    OptionalAttr<HW_FigureAttr>:$unhidden_memory, // plain number
    OptionalAttr<HW_FigureAttr>:$tile);           // seconds
}

def HW_MoverOp : HW_Op<"mover", [Symbol,
    ParentOneOf<["SystemOp", "DeviceOp", "WorkerOp"]>]> {
  let summary = "a thing that copies on its own, `x N` of it";
  let description = [{
    A DMA or copy engine, TMA, a NIC. `from` and `to` name memories that are in
    scope; it copies from `from` to `to`. `bandwidth` is of each mover.

    ```mlir
    hw.mover @copy_engine x 2 (from = @hbm, to = @hbm,
                               bandwidth = 900 GB/s documented,
                               latency = 2 us assumed)
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    I64Attr:$count,                          // instances in the parent
    FlatSymbolRefAttr:$from,                 // memory
    FlatSymbolRefAttr:$to,                   // memory
    HW_FigureAttr:$bandwidth,                // bytes per second, each
    OptionalAttr<HW_FigureAttr>:$latency,    // seconds
    OptionalAttr<I64Attr>:$outstanding);     // copies in flight
}

def HW_AtomOp : HW_Op<"atom", [Symbol, ParentOneOf<["WorkerOp"]>]> {
  let summary = "a matrix instruction that the code generator can emit";
  let description = [{
    `m x n x k a, b -> c` computes c[m,n] += a[m,k] * b[k,n]. `instruction` is
    the name under which lib/Target emits it. `per_cycle` is how many start per
    cycle and worker, often below one. `operands` says where they must be;
    `from` is the innermost memory they stream from. `needs` are features
    that must be among the device's. Integers are signed unless `ui8`.

    ```mlir
    hw.atom @tile 16 x 16 x 32 bf16, bf16 -> f32
      (instruction = "x86.amx.bf16", per_cycle = 1/16 measured,
       latency = 52 cycles documented, operands = tile_registers, from = @l1,
       needs = ["amx-tile", "amx-bf16"])
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    I64Attr:$m, I64Attr:$n, I64Attr:$k,
    TypeAttr:$a, TypeAttr:$b, TypeAttr:$c,
    OptionalAttr<HW_ScaleAttr>:$a_scale,
    OptionalAttr<HW_ScaleAttr>:$b_scale,
    StrAttr:$instruction,
    HW_FigureAttr:$per_cycle,               // plain number
    OptionalAttr<HW_FigureAttr>:$latency,   // cycles
    OptionalAttr<HW_PlaceAttr>:$operands,   // registers if absent
    OptionalAttr<FlatSymbolRefAttr>:$from,  // memory
    OptionalAttr<HW_FigureAttr>:$energy,    // joules per multiply-add
    OptionalAttr<StrArrayAttr>:$needs);
}

def HW_LinkOp : HW_Op<"link", [Symbol,
    ParentOneOf<["SystemOp", "DeviceOp"]>]> {
  let summary = "a connection between memories of different devices";
  let description = [{
    `from` and `to` are paths from the body that the link stands in; where a
    device has a count, the link joins all of its instances by `topology`.
    `bandwidth` is of one direction and one endpoint; `half_duplex` links share
    it between the directions.

    ```mlir
    hw.link @nvlink (from = @gpu::@hbm, to = @gpu::@hbm, topology = switch,
                     bandwidth = 450 GB/s documented, latency = 1 us assumed)
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    I64Attr:$count,
    SymbolRefAttr:$from,
    SymbolRefAttr:$to,
    OptionalAttr<HW_TopologyAttr>:$topology, // point if absent
    HW_FigureAttr:$bandwidth,                // bytes per second
    OptionalAttr<HW_FigureAttr>:$latency,    // seconds
    OptionalAttr<UnitAttr>:$half_duplex);
}

def HW_SyncOp : HW_Op<"sync", [ParentOneOf<["DeviceOp"]>]> {
  let summary = "what it costs to wait for another worker";
  let description = [{
    `cost` is the time from one worker's signal until another, which spins, has
    seen it; `wake` the time until one that sleeps runs. At most one per
    device.

    ```mlir
    hw.sync (cost = 170 ns measured, wake = 8 us measured)
    ```
  }];
  let arguments = (ins
    HW_FigureAttr:$cost,                      // seconds
    OptionalAttr<HW_FigureAttr>:$wake,        // seconds
    OptionalAttr<I64Attr>:$counter_stride);   // bytes; 64 if absent
}

def HW_CodegenOp : HW_Op<"codegen", [ParentOneOf<["DeviceOp"]>]> {
  let summary = "facts for code generation that vendors document badly";
  let description = [{
    `nt_store_fence` is the fence a signal needs after non-temporal stores,
    `async_fence` the same for an asynchronous proxy. `bypass_load` names a load
    that leaves the caches alone. `nt_store_from` is the size of a result from
    which non-temporal stores pay. `denormal` is what a denormal costs,
    `line_crossing` the throughput of loads across lines relative to others,
    `flushes_denormals` the atoms that treat denormals as zero.

    ```mlir
    hw.codegen (nt_store_fence = "sfence", prefetch_distance = 512 B assumed,
                nt_store_from = 4 MiB measured, denormal = 150 cycles assumed,
                line_crossing = 0.5 measured, page = 4096,
                flushes_denormals = ["tile"])
    ```
  }];
  let arguments = (ins
    OptionalAttr<StrAttr>:$nt_store_fence,
    OptionalAttr<StrAttr>:$async_fence,
    OptionalAttr<StrAttr>:$bypass_load,
    OptionalAttr<HW_FigureAttr>:$prefetch_distance, // bytes
    OptionalAttr<HW_FigureAttr>:$nt_store_from,     // bytes
    OptionalAttr<HW_FigureAttr>:$denormal,          // cycles
    OptionalAttr<HW_FigureAttr>:$line_crossing,     // plain number
    OptionalAttr<I64Attr>:$page,                    // bytes; 4096 if absent
    OptionalAttr<StrArrayAttr>:$flushes_denormals);
}

#endif // HEADRACE_DIALECT_HW_HWOPS
