//===- SchedOps.td - The sched dialect ---------------------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_SCHED_SCHEDOPS
#define HEADRACE_DIALECT_SCHED_SCHEDOPS

include "headrace/Dialect/HR/HROps.td"
include "headrace/Dialect/Sched/SchedEnums.td"

def Sched_Dialect : Dialect {
  let name = "sched";
  let cppNamespace = "::headrace::sched";
  let summary = "who runs what when, where every byte lies, who waits for whom";
  let description = [{
    One `sched.program` per entry and number of workers. It holds arenas,
    buffers, stages (what a tile of each touches) and *families* of timelines:
    a family is one table of commands with the number of the worker as a
    parameter. Commands are `run`, `copy` and `wait`, and `repeat` around them.

    Each timeline has a counter that only grows. Each completed `run` or `copy`
    adds one to the counter of its own timeline (a `run` in several `parts` adds
    one per part), whether its range of tiles is empty or not, so every timeline
    of a family adds the same number per call. `wait` goes on once the counter of
    another timeline is at least a number; numbers count from the start of the
    call. The end of a call is a join of all timelines.

    Expressions (tile ranges, offsets, slots, numbers of workers, counts) are
    `#hr.size`s over the symbols of the entry, the number of the worker (the
    name that the family gives it, `w` here) and the number of the iteration
    (the name that `repeat` gives it, `i` here).

    After the `schedule` phase the entry itself is a private declaration of a
    `func.func` with the attribute `hr.entry`; its type, `hr.symbols`, `hr.name`
    and `hr.dims` say what a caller sees.

    ```mlir
    sched.program @main_2 of @main workers 2 {
      arena @dram = 786432
      %x = buffer input 0 [128, 384] f32
      %W1 = buffer const [@W1] [24, 384, 64] f32
      %W2 = buffer const [@W2] [6, 1536, 64] f32
      %h = buffer temp [128, 1536] f32 at @dram + 0
      %y = buffer output 0 [128, 384] f32
      stage @A grid [8] operands [
        read (d0) -> (d0 * 16, 0) by [16, 384], read whole,
        write (d0) -> (d0 * 16, 0) by [16, 1536]]
      stage @B grid [8] operands [
        read (d0) -> (d0 * 16, 0) by [16, 1536],
        read (d0) -> (d0 * 16, 0) by [16, 384], read whole,
        write (d0) -> (d0 * 16, 0) by [16, 384]]
      timeline @core[w : 2] {
        run @A tiles [4 * w, 4 * w + 4) (%x, %W1 -> %h)
        run @B tiles [4 * w, 4 * w + 4) (%h, %x, %W2 -> %y)
      }
    }
    ```
  }];
  let dependentDialects = ["::headrace::hr::HRDialect"];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

def Sched_TimelineKindAttr
    : EnumAttr<Sched_Dialect, Sched_TimelineKind, "timeline_kind">;

def Sched_StoreClassAttr
    : EnumAttr<Sched_Dialect, Sched_StoreClass, "store_class">;

def Sched_BufferType : TypeDef<Sched_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "a buffer of a program; its `sched.buffer` says which";
  let description = "The type of every `sched.buffer`. It is never written out.";
}

class Sched_Op<string mnemonic, list<Trait> traits = []>
    : Op<Sched_Dialect, mnemonic, traits> {
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

def Sched_ProgramOp : Sched_Op<"program", [Symbol, SingleBlock, NoTerminator,
    NoRegionArguments, IsolatedFromAbove, OpAsmOpInterface]> {
  let summary = "the schedule of one entry for one number of workers";
  let description = [{
    The programs of one entry run the same stages on the same operands and give
    the same bits. `scratch` is the number of bytes that each worker needs
    besides the arenas: in the memory `in`, of which each worker has its own, or,
    without it, where the first arena is. `symbols` are those of the entry, with their ranges.
    `fences` names, per class of stores that needs one on this machine, the fence
    that the signal of such a stage must carry.

    The verifier of the op checks form: names, counts, that every run fits its
    stage. Whether the schedule is right (no race, no deadlock, arenas) is for
    the pass `sched-verify`.

    ```mlir
    sched.program @main_2 of @main workers 2 symbols [#hr.symbol<"s0", 1, 512>]
        scratch 4096 fences {non_temporal = "sfence"} work 5000 * s0 from 400000 {
      ...
    }
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    FlatSymbolRefAttr:$entry,
    I64Attr:$workers,                                // worker timelines in all
    OptionalAttr<ArrayAttr>:$symbols,                // of #hr.symbol
    DefaultValuedAttr<I64Attr, "0">:$scratch_bytes,  // per worker
    OptionalAttr<StrAttr>:$scratch_memory,           // null: of the first arena
    OptionalAttr<DictionaryAttr>:$fences,            // store class -> fence
    OptionalAttr<HR_SizeAttr>:$work,                 // of a call, in operations
    OptionalAttr<I64Attr>:$from_work);               // the least work it is for
  let regions = (region SizedRegion<1>:$body);
  let extraClassDeclaration = [{
    /// Ops in the body print and parse without the prefix `sched.`.
    static ::llvm::StringRef getDefaultDialect() { return "sched"; }
    /// The families of timelines, in order; their counters are numbered in this
    /// order, all timelines of a family in a row.
    std::vector<TimelineOp> getTimelines();
    std::vector<ArenaOp> getArenas();
    /// The stage, arena or family of that name, or null.
    StageOp getStage(::llvm::StringRef name);
    ArenaOp getArena(::llvm::StringRef name);
    TimelineOp getTimeline(::llvm::StringRef name);
    /// Number of the counter of the first timeline of the family.
    int64_t getFirstCounter(::llvm::StringRef family);
    /// Counters in all.
    int64_t getCounterCount();
    /// Ranges of the entry's symbols.
    ::headrace::SymbolRanges getSymbolRanges();
    ::llvm::SmallVector<::llvm::StringRef> getSymbolNames();
  }];
}

def Sched_ArenaOp : Sched_Op<"arena", [HasParent<"ProgramOp">]> {
  let summary = "one block of one memory";
  let description = [{
    `bytes` is there once offsets are assigned. It may be an expression of the
    entry's symbols; offsets of buffers are valid for the same binding, and
    `offset + slots * stride <= bytes` for all bindings. `lower_bound` is the
    least number of bytes that any assignment needs, as far as is known. The
    base is aligned to 64 bytes at least.

    ```mlir
    arena @dram = 983040 lower_bound 983040
    arena @dram = 1536 * s0 + 4096
    ```
  }];
  let arguments = (ins StrAttr:$name, OptionalAttr<HR_SizeAttr>:$bytes,
                       OptionalAttr<HR_SizeAttr>:$lower_bound);
}

def Sched_BufferOp : Sched_Op<"buffer", [HasParent<"ProgramOp">,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "a buffer, and where it lies";
  let description = [{
    As `hr.buffer`: row-major over `dims`; `input` and `output` name the entry's
    argument or result `number`; `const` and `state` name one weight or state per
    slot; a `temp` has `slots` copies. A temp lies in `arena` at byte `offset`,
    its slots `stride` bytes apart; both are there once offsets are assigned.
    Other kinds have no arena: they lie where the runtime puts them.

    Sizes, offset and stride are expressions of the entry's symbols. `read_back`
    says of a state that it is read after the call's write, and that this means
    the new value.

    ```mlir
    %x = buffer input 0 [s0, 384] f32
    %w = buffer const [@"l0.w", @"l1.w"] [24, 384, 64] f32
    %t = buffer temp slots 2 [s0, 384] f32 at @dram + 4096 stride 1536 * s0
    %k = buffer state [@k_cache] [1, 4, 128, 32] f32 read_back
    ```
  }];
  let arguments = (ins HR_BufferKindAttr:$kind, OptionalAttr<I64Attr>:$number,
                       OptionalAttr<FlatSymbolRefArrayAttr>:$symbols,
                       DefaultValuedAttr<I64Attr, "1">:$slots,
                       HR_SizeArrayAttr:$dims, TypeAttr:$element_type,
                       DefaultValuedAttr<I64Attr, "64">:$align,
                       OptionalAttr<StrAttr>:$arena,
                       OptionalAttr<HR_SizeAttr>:$offset,   // bytes
                       OptionalAttr<HR_SizeAttr>:$stride,   // bytes
                       UnitAttr:$read_back);
  let results = (outs Sched_BufferType:$result);
  let extraClassDeclaration = [{
    /// Bytes of an element; i1 takes one.
    int64_t getElementBytes();
    /// Bytes of one slot, without padding.
    ::headrace::SizeExpr getSlotBytes();
  }];
}

def Sched_StageOp : Sched_Op<"stage", [HasParent<"ProgramOp">]> {
  let summary = "what a tile of a stage touches, and costs";
  let description = [{
    `function` is the stage's function of the module (see `hr.run` for its
    arguments); the name is that of the function where none is given. Tiles are
    numbered row-major over `grid`. Per operand: access, and the footprint of a
    tile (`#hr.footprint`): a map from its coordinates to its first index per
    dimension, and the number of indices, clamped to the buffer; or `whole`;
    `touching` says how many indices a tile touches at most, where it is not known
    which (gathers), for predictions alone.
    `symbols` are the names of the entry's symbols that the function's last index
    arguments take, in order. `flops` and `compute` feed the simulator:
    operations of all tiles together, and the femtoseconds that one worker would
    compute for, had it every byte at hand. `keeps` lists operands that the stage
    updates in place: parts of their footprint may keep their value, so the buffer
    must not have been reused since.

    ```mlir
    stage @A function @ffn_up grid [8, 1] operands [
      read (d0, d1) -> (d0 * 16, 0) by [16, 384],
      write (d0, d1) -> (d0 * 16, 0) by [16, 1536], readwrite whole]
      symbols ["s0"] scratch 4096 stores non_temporal flops 1000 * s0
      compute 12000 * s0 keeps [2]
    ```
  }];
  let arguments = (ins
    StrAttr:$name,
    FlatSymbolRefAttr:$function,
    HR_SizeArrayAttr:$grid,
    TypedArrayAttrBase<HR_AccessAttr, "accesses">:$access,
    TypedArrayAttrBase<HR_FootprintAttr, "footprints">:$footprints,
    ArrayAttr:$symbols,                              // of StringAttr
    DefaultValuedAttr<I64Attr, "0">:$scratch_bytes,  // per worker
    DefaultValuedAttr<Sched_StoreClassAttr, "::headrace::sched::StoreClass::Normal">:$stores,
    OptionalAttr<HR_SizeAttr>:$flops,                // of all tiles
    OptionalAttr<HR_SizeAttr>:$compute,              // of all tiles
    OptionalAttr<DenseI64ArrayAttr>:$keeps);
  let extraClassDeclaration = [{
    /// The number of tiles.
    ::headrace::SizeExpr getTileCount();
  }];
}

//===----------------------------------------------------------------------===//
// Timelines and commands
//===----------------------------------------------------------------------===//

def Sched_TimelineOp : Sched_Op<"timeline", [HasParent<"ProgramOp">,
    SingleBlock, NoTerminator, NoRegionArguments, OpAsmOpInterface]> {
  let summary = "what each worker of a family does";
  let description = [{
    One table of commands for `count` workers (or movers) numbered from 0; in it
    `index` is the name of the number of the one that executes it.

    ```mlir
    timeline @core[w : 2] {
      run @A tiles [4 * w, 4 * w + 4) (%x, %W1 -> %h)
      wait @core[1 - w] >= 1
      run @B tiles [4 * w, 4 * w + 4) (%h, %x, %W2 -> %y)
    }
    timeline @dma[m : 1] mover { ... }
    ```
  }];
  let arguments = (ins StrAttr:$name, StrAttr:$index, I64Attr:$count,
    DefaultValuedAttr<Sched_TimelineKindAttr, "::headrace::sched::TimelineKind::Worker">:$kind);
  let regions = (region SizedRegion<1>:$body);
  let extraClassDeclaration = [{
    static ::llvm::StringRef getDefaultDialect() { return "sched"; }
    /// How much a call adds to the counter of each timeline of the family.
    int64_t getSignalCount();
  }];
}

class Sched_Command<string mnemonic, list<Trait> traits = []>
    : Sched_Op<mnemonic, traits # [ParentOneOf<["TimelineOp", "RepeatOp"]>]>;

def Sched_RunOp : Sched_Command<"run"> {
  let summary = "executes a range of tiles of a stage, in order";
  let description = [{
    Runs the tiles `[from, to)` of the stage, then signals: adds one to the
    counter of the timeline. With `parts = n` the range is executed in `n` parts,
    part `c` being `[from + c * (to - from) floordiv n, from + (c + 1) * (to -
    from) floordiv n)`, each followed by a signal; so counts do not depend on
    sizes. An empty range (`to <= from`) executes nothing and signals the same.

    Operands are those of the stage, in its order; `slots` selects the slot of
    each (an expression of the iteration's number). What follows `->` is written.
    `fence` is the instruction that must precede the signal, for stages whose
    stores a signal does not order by itself.

    ```mlir
    run @A tiles [8 * w, 8 * w + 8) (%x[i mod 2], %W1[i] -> %h) parts 2 fence "sfence"
    ```
  }];
  let arguments = (ins StrAttr:$stage, HR_SizeAttr:$from, HR_SizeAttr:$to,
                       Variadic<Sched_BufferType>:$buffers,
                       HR_SizeArrayAttr:$slots,
                       DefaultValuedAttr<I64Attr, "1">:$parts,
                       OptionalAttr<StrAttr>:$fence);
  let extraClassDeclaration = [{
    /// The stage; never null in verified IR.
    StageOp getStageOp();
    BufferOp getBuffer(unsigned number);
  }];
}

def Sched_CopyOp : Sched_Command<"copy"> {
  let summary = "moves a region between buffers";
  let description = [{
    Copies the `extent` elements per dimension that begin at `source_origin` of
    the source's slot to those that begin at `dest_origin` of the destination's.
    Both have the same rank and element type. On a mover the copy is
    asynchronous; on a worker it is a loop. Signals like a `run`.

    ```mlir
    copy %W1[i + 1] from [0, 0, 0] -> %near[(i + 1) mod 2] from [0, 0, 0] extent [24, 384, 64]
    ```
  }];
  let arguments = (ins Sched_BufferType:$source, Sched_BufferType:$dest,
                       HR_SizeAttr:$source_slot, HR_SizeAttr:$dest_slot,
                       HR_SizeArrayAttr:$source_origin,
                       HR_SizeArrayAttr:$dest_origin, HR_SizeArrayAttr:$extent,
                       OptionalAttr<StrAttr>:$fence);
}

def Sched_WaitOp : Sched_Command<"wait"> {
  let summary = "goes on once other timelines have come so far";
  let description = [{
    Waits until the counter of each timeline numbered `[from, to)` of the family
    is at least `count`. Numbers outside the family, and the number of the one
    that waits (in its own family), are passed over. `*` stands for all: `from` 0
    and `to` the largest 32-bit number.
    With `by [a, b)` only the workers numbered so wait; the others go on.
    `count` may use the number of the iteration.

    ```mlir
    wait @core[1 - w] >= 1
    wait @core[*] >= 7 * i + 3
    wait @core[w - 1, w + 2) >= 4
    wait @core[*] >= 4 by [3, 4)
    ```
  }];
  let arguments = (ins StrAttr:$timeline, HR_SizeAttr:$from, HR_SizeAttr:$to,
                       HR_SizeAttr:$count, OptionalAttr<I64Attr>:$by_from,
                       OptionalAttr<I64Attr>:$by_to);
}

def Sched_RepeatOp : Sched_Command<"repeat", [SingleBlock, NoTerminator,
    NoRegionArguments, OpAsmOpInterface]> {
  let summary = "commands executed `count` times";
  let description = [{
    `index` is the name of the number of the iteration, from 0. A repeat adds
    `count` times what its body adds to the counter.

    ```mlir
    repeat 12 (i) {
      wait @core[1 - w] >= 2 * i
      run @A tiles [4 * w, 4 * w + 4) (%x[i mod 2], %W1[i] -> %h)
      run @B tiles [4 * w, 4 * w + 4) (%h, %W2[i] -> %x[(i + 1) mod 2])
    }
    ```
  }];
  let arguments = (ins I64Attr:$count, StrAttr:$index);
  let regions = (region SizedRegion<1>:$body);
  let extraClassDeclaration = [{
    static ::llvm::StringRef getDefaultDialect() { return "sched"; }
  }];
}

#endif // HEADRACE_DIALECT_SCHED_SCHEDOPS
