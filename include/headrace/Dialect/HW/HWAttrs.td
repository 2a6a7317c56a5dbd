//===- HWAttrs.td - Figures and words of the hw dialect ----*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_HW_HWATTRS
#define HEADRACE_DIALECT_HW_HWATTRS

include "headrace/Dialect/HW/HWDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class HW_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::headrace::hw";
  let genSpecializedAttr = 0;
}

def HW_Source : HW_Enum<"Source", "where a figure came from", [
  I32EnumAttrCase<"Assumed", 1, "assumed">,
  I32EnumAttrCase<"Documented", 2, "documented">,
  I32EnumAttrCase<"Measured", 3, "measured">]>;

def HW_Dimension : HW_Enum<"Dimension", "what a figure is a number of", [
  I32EnumAttrCase<"Ratio", 0, "a plain number">,
  I32EnumAttrCase<"Bytes", 1, "bytes">,
  I32EnumAttrCase<"BytesPerSecond", 2, "bytes per second">,
  I32EnumAttrCase<"Seconds", 3, "seconds">,
  I32EnumAttrCase<"Hertz", 4, "hertz">,
  I32EnumAttrCase<"Cycles", 5, "cycles">,
  I32EnumAttrCase<"Joules", 6, "joules">,
  I32EnumAttrCase<"JoulesPerByte", 7, "joules per byte">,
  I32EnumAttrCase<"Watts", 8, "watts">,
  I32EnumAttrCase<"DollarsPerHour", 9, "dollars per hour">]>;

def HW_MemoryKind : HW_Enum<"MemoryKind", "who decides what a memory holds", [
  I32EnumAttrCase<"Cache", 0, "cache">,
  I32EnumAttrCase<"Scratchpad", 1, "scratchpad">,
  I32EnumAttrCase<"Main", 2, "main">]>;

def HW_Place : HW_Enum<"Place", "where the operands of an atom must be", [
  I32EnumAttrCase<"Registers", 0, "registers">,
  I32EnumAttrCase<"TileRegisters", 1, "tile_registers">,
  I32EnumAttrCase<"SharedMemory", 2, "shared_memory">]>;

def HW_Topology : HW_Enum<"Topology", "how the ends of a link are joined", [
  I32EnumAttrCase<"Point", 0, "point">, I32EnumAttrCase<"Bus", 1, "bus">,
  I32EnumAttrCase<"Ring", 2, "ring">, I32EnumAttrCase<"Switch", 3, "switch">,
  I32EnumAttrCase<"Mesh", 4, "mesh">,
  I32EnumAttrCase<"AllToAll", 5, "all_to_all">]>;

def HW_Codegen : HW_Enum<"Codegen", "a family of code generators", [
  I32EnumAttrCase<"X86_64", 0, "x86_64">,
  I32EnumAttrCase<"AArch64", 1, "aarch64">,
  I32EnumAttrCase<"NVPTX", 2, "nvptx">,
  I32EnumAttrCase<"AMDGPU", 3, "amdgpu">]>;

def HW_MemoryKindAttr : EnumAttr<HW_Dialect, HW_MemoryKind, "memory_kind">;
def HW_PlaceAttr : EnumAttr<HW_Dialect, HW_Place, "place">;
def HW_TopologyAttr : EnumAttr<HW_Dialect, HW_Topology, "topology">;
def HW_CodegenAttr : EnumAttr<HW_Dialect, HW_Codegen, "codegen_family">;

def HW_FigureAttr : AttrDef<HW_Dialect, "Figure"> {
  let mnemonic = "figure";
  let summary = "a number with its unit and where it came from";
  let description = [{
    The value is kept in the base unit of its dimension (bytes, bytes per
    second, seconds, hertz, cycles, joules, joules per byte, watts, dollars per
    hour, or a plain number) and printed in the unit that reads shortest. A
    plain number may be written as a fraction.

    | dimension | units |
    |---|---|
    | bytes | `B` `KiB` `MiB` `GiB` `TiB`, and `KB` `MB` `GB` `TB` (decimal) |
    | bytes per second | `B/s` `KB/s` `MB/s` `GB/s` `TB/s` |
    | seconds | `ps` `ns` `us` `ms` `s` |
    | hertz | `Hz` `kHz` `MHz` `GHz` |
    | cycles | `cycles` |
    | joules | `pJ` `nJ` `J` |
    | joules per byte | `pJ/B` `nJ/B` `J/B` |
    | watts | `mW` `W` `kW` |
    | dollars per hour | `USD/h` |

    ```mlir
    #hw.figure<32 GB/s measured>
    #hw.figure<1/16 documented>
    ```
  }];
  let parameters = (ins
    "::mlir::FloatAttr":$number, // f64, in the base unit
    "::headrace::hw::Dimension":$dimension,
    "::headrace::hw::Source":$source);
  let builders = [AttrBuilder<(ins "double":$value,
                    "::headrace::hw::Dimension":$dimension,
                    "::headrace::hw::Source":$source)>];
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    double getValue() const { return getNumber().getValueAsDouble(); }
    /// The figure as it is printed, without the brackets.
    std::string str() const;
  }];
}

def HW_RegistersAttr : AttrDef<HW_Dialect, "Registers"> {
  let mnemonic = "registers";
  let summary = "how many registers, and bits of each";
  let description = [{
    ```mlir
    #hw.registers<32 x 512 bit>
    ```
  }];
  let parameters = (ins "int64_t":$count, "int64_t":$bits);
  let hasCustomAssemblyFormat = 1;
}

def HW_ScaleAttr : AttrDef<HW_Dialect, "Scale"> {
  let mnemonic = "scale";
  let summary = "a scale factor per block of elements along k";
  let description = [{
    An operand is multiplied, before use, by one factor of type `type` for each
    `block` consecutive elements along the contracted dimension.

    ```mlir
    #hw.scale<f8E8M0FNU per 32>
    ```
  }];
  let parameters = (ins "::mlir::Type":$type, "int64_t":$block);
  let hasCustomAssemblyFormat = 1;
}

#endif // HEADRACE_DIALECT_HW_HWATTRS
