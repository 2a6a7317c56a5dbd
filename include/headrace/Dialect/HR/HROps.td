//===- HROps.td - The hr dialect ---------------------------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_HR_HROPS
#define HEADRACE_DIALECT_HR_HROPS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/RegionKindInterface.td"
include "headrace/Dialect/HR/TileableOp.td"

def HR_Dialect : Dialect {
  let name = "hr";
  let cppNamespace = "::headrace::hr";
  let summary = "what linalg and tensor lack, and the shape of a program";
  let description = [{
    Weights and state by name, symbolic sizes, views, streamed reductions,
    repeated layers, stages, and buffers.

    An *entry* is a public `func.func`. Its attribute `hr.symbols` is an array
    of `#hr.symbol<"s0", 1, 512>` (name, least, largest value, both included).
    Each tensor argument and result has `hr.name` (a string) and `hr.dims` (an
    array of `#hr.size`, one per dimension). Of an entry that writes state,
    `hr.checks` lists the inputs that are indices (dictionaries of the number
    `input`, the size `bound`, `wrap` as in `hr.gather`, a `site` as in
    headrace/Target/StageABI.h, and as `covers` the sites that then have nothing
    left to report): the call checks them first. The module attributes
    `hr.in_spec.<entry>` and `hr.out_spec.<entry>` hold the pytrees as JSON.
    What the function of a stage was made of is its `hr.origin`, an `#hr.origin`.
    The bytes of weights are not in the IR: `hr.weight` names an entry of the
    `WeightStore` that hangs off the dialect.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let hasOperationAttrVerify = 1;
  let dependentDialects = ["::mlir::tensor::TensorDialect",
                           "::mlir::arith::ArithDialect"];
  let extraClassDeclaration = [{
    /// The bytes of every `hr.weight` of the modules of this context. Never
    /// null; shared with whoever reads or writes artifacts.
    ::headrace::WeightStore &getWeights();
    void setWeights(std::shared_ptr<::headrace::WeightStore> store);
    std::shared_ptr<::headrace::WeightStore> shareWeights();
    static ::llvm::StringRef getOriginAttrName() { return "hr.origin"; }
    /// Of the function of a stage; null if it has none.
    static ::headrace::hr::OriginAttr getOrigin(::mlir::Operation *function);
  private:
    std::shared_ptr<::headrace::WeightStore> weights;
  public:
  }];
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

class HR_Attr<string name, string mn> : AttrDef<HR_Dialect, name> {
  let mnemonic = mn;
}

def HR_SizeAttr : HR_Attr<"Size", "size"> {
  let summary = "a symbolic size in canonical form";
  let description = [{
    The canonical text of a `SizeExpr` over the symbols of the entry.

    ```mlir
    #hr.size<"s0 * s1 + 4">
    ```
  }];
  let parameters = (ins StringRefParameter<"canonical text">:$text);
  let builders = [AttrBuilder<(ins "const ::headrace::SizeExpr &":$expr)>];
  let skipDefaultBuilders = 0;
  let extraClassDeclaration = [{
    ::headrace::SizeExpr getExpr() const;
  }];
  let assemblyFormat = "`<` $text `>`";
  let genVerifyDecl = 1;
}
def HR_SizeArrayAttr : TypedArrayAttrBase<HR_SizeAttr, "array of sizes">;

def HR_SymbolAttr : HR_Attr<"Symbol", "symbol"> {
  let summary = "a symbol of an entry and its range, both ends included";
  let parameters = (ins StringRefParameter<"name">:$name, "int64_t":$least,
                        "int64_t":$largest);
  let assemblyFormat = "`<` $name `,` $least `,` $largest `>`";
  let genVerifyDecl = 1;
}

def HR_RequirementAttr : HR_Attr<"Requirement", "requirement"> {
  let summary = "what has to hold of the sizes of a call";
  let description = [{
    The requirement holds for a binding of the entry's symbols if `condition` is
    at least 0 there, and does not where it cannot be computed (see
    `headrace/Support/SizeCondition.h`). `text` says the same in the words of
    the user's program, `where` what needs it: an operator with its line, or
    nothing for what the exported program itself states.

    The attribute `hr.requires` of an entry lists them. They are checked at each
    call, before anything runs; all that follows may take them for given.

    ```mlir
    #hr.requirement<"s77 - 4", "x.shape[0] >= 4", "">
    ```
  }];
  let parameters = (ins StringRefParameter<"canonical text">:$condition,
                        StringRefParameter<"what is checked">:$text,
                        StringRefParameter<"what needs it">:$where);
  let assemblyFormat = "`<` $condition `,` $text `,` $where `>`";
  let extraClassDeclaration = [{
    ::headrace::SizeExpr getExpr() const;
  }];
  let genVerifyDecl = 1;
}

def HR_FootprintAttr : HR_Attr<"Footprint", "footprint"> {
  let summary = "the part of a buffer that one tile of a stage touches";
  let description = [{
    Maps the coordinates of a tile in the stage's grid to a hyper-rectangle of
    the buffer's index space: `origin` gives the first index per dimension,
    `extent` the number of indices, clamped to the buffer. An empty `extent`
    means the whole buffer (data-dependent accesses). Where only some of these
    indices are touched, but not known which, `touching` says how many at most:
    it feeds predictions, and no proof.

    ```mlir
    #hr.footprint<affine_map<(d0, d1) -> (d0 * 32, 0)>, [#hr.size<"32">, #hr.size<"384">]>
    #hr.footprint<affine_map<(d0) -> ()>, [] touching #hr.size<"12288">>
    ```
  }];
  let parameters = (ins "::mlir::AffineMap":$origin,
                        "::mlir::ArrayAttr":$extent,
                        OptionalParameter<"::headrace::hr::SizeAttr">:$touched);
  let builders = [AttrBuilder<(ins "::mlir::AffineMap":$origin,
                                   "::mlir::ArrayAttr":$extent), [{
    return $_get($_ctxt, origin, extent, SizeAttr());
  }]>];
  let assemblyFormat = "`<` $origin `,` $extent (`touching` $touched^)? `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    bool isWhole() const { return getExtent().empty(); }
  }];
}

def HR_AtomAttr : HR_Attr<"Atom", "atom"> {
  let summary = "the instruction that a contraction is made of";
  let description = [{
    `c[m, n] += a[m, k] * b[k, n]`, as `hw.atom` has it; `a` is the operand along
    the rows of the register tile, `b` the one along its vectors. Consecutive
    elements along k that fill an element of `c` lie side by side in `b` (pairs
    of bf16 for f32). `fragments` says that operands and sums live where only
    the atom's own loads and stores reach them (tile registers), not in vectors.
    `instruction` is a name that the target alone interprets.

    ```mlir
    #hr.atom<instruction = "x86.tdpbf16ps", m = 16, n = 16, k = 32, fragments = true>
    ```
  }];
  let parameters = (ins StringRefParameter<"what the target emits">:$instruction,
                        "int64_t":$m, "int64_t":$n, "int64_t":$k,
                        "bool":$fragments);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def HR_NestPlanAttr : HR_Attr<"NestPlan", "nest"> {
  let summary = "how one loop nest of a stage is emitted";
  let description = [{
    Numbers of loops are those of the nest's anchor; -1 is "none". `vector` is
    the loop whose consecutive iterations are lanes, `vectors` how many vectors
    of it are in registers at once; `row` is the loop of which `rows` iterations
    are in registers at once; `block` is the most products that are summed, in
    each lane, before they join the rest (0: all). Where `totals_in_scratch`, that
    rest is in scratch: the sums of a block leave no registers for it.

    A contraction may be made of an `atom` (none: multiply-adds of vectors),
    whose k runs along the reduction loop `group`. `packed` lists the operands
    that are copied to panels in scratch, in the order in which the registers
    want them: the one along rows once per tile, the one along vectors once per
    panel of `vectors` vectors.

    `cost` is the predicted time in which one worker computes a point of the
    nest (an iteration of all its anchor's loops, sinks and copies included), in
    femtoseconds; 0 if nothing was predicted.

    ```mlir
    #hr.nest<vector = 1, vectors = 3, row = 0, rows = 8, block = 512>
    #hr.nest<vector = 1, vectors = 3, row = 0, rows = 8, block = 512,
        totals_in_scratch = true>
    #hr.nest<vector = 1, vectors = 3, row = 0, rows = 8, block = 512, group = 2,
        packed = [1], cost = 9800,
        atom = <instruction = "x86.vdpbf16ps", m = 1, n = 16, k = 2, fragments = false>>
    ```
  }];
  let parameters = (ins "int64_t":$vector, "int64_t":$vectors, "int64_t":$row,
                        "int64_t":$rows, "int64_t":$block,
                        DefaultValuedParameter<"int64_t", "-1">:$group,
                        OptionalParameter<"::mlir::DenseI64ArrayAttr">:$packed,
                        DefaultValuedParameter<"int64_t", "0">:$cost,
                        OptionalParameter<"::headrace::hr::AtomAttr">:$atom,
                        DefaultValuedParameter<"bool", "false">:$totals_in_scratch);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def HR_EdgeAttr : HR_Attr<"Edge", "edge"> {
  let summary = "where a value is handed over within a stage";
  let description = [{
    What nest `nest` stores for others of the same tile, its `value`th such result,
    is handed over in the memory `memory` of the description: `bytes` per tile, at
    typical sizes. On a CPU that is the innermost cache that holds it beside what
    else is in hand at the time; its bytes are in the worker's scratch.

    ```mlir
    #hr.edge<nest = 0, value = 0, memory = "l2", bytes = 65536>
    ```
  }];
  let parameters = (ins "int64_t":$nest, "int64_t":$value,
                        StringRefParameter<"a memory">:$memory,
                        "int64_t":$bytes);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def HR_PlanAttr : HR_Attr<"Plan", "plan"> {
  let summary = "how a stage is tiled and emitted";
  let description = [{
    `tile` holds, per class of loops of the stage (in the order of
    `plan::StageAnalysis`), the size of its tiles, 0 where the class is not
    tiled. `lanes` is the number of lanes of a vector (1: scalar code),
    `stream` the block of a streamed reduction. `nests` has one entry per nest.
    `nanoseconds` is the predicted time, `runner_up` the nearest alternative and
    its prediction. `bypass` says that what the stage hands on is stored past the
    caches: nobody reads it while it would still be there. `edges` has an entry for
    each value that a nest stores for another; a value that is not there is handed
    over in registers, as part of the nest that reads it, and what the stage yields
    in the memory where buffers are. A scalar plan has none.

    ```mlir
    #hr.plan<tile = [32, 0, 0], lanes = 16, stream = 128,
        nests = [#hr.nest<vector = 1, vectors = 3, row = 0, rows = 8, block = 512>],
        nanoseconds = 120000, runner_up = "tile [64, 0, 0]: 130000 ns",
        edges = [#hr.edge<nest = 0, value = 0, memory = "l1", bytes = 8192>]>
    ```
  }];
  let parameters = (ins "::mlir::DenseI64ArrayAttr":$tile, "int64_t":$lanes,
                        "int64_t":$stream, "::mlir::ArrayAttr":$nests,
                        "int64_t":$nanoseconds,
                        StringRefParameter<"the nearest alternative">:$runner_up,
                        DefaultValuedParameter<"bool", "false">:$bypass,
                        OptionalParameter<"::mlir::ArrayAttr">:$edges);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def HR_ContractionAttr : HR_Attr<"Contraction", "contraction"> {
  let summary = "sums of products that a stage computes";
  let description = [{
    Element types of both operands and of the sum, and the operations (two per
    product) that all tiles of the stage spend on it; an expression of the
    entry's symbols. Reports ask how fast the machine could be.

    ```mlir
    #hr.contraction<bf16, bf16 -> f32, #hr.size<"294912 * s0">>
    ```
  }];
  let parameters = (ins "::mlir::Type":$lhs, "::mlir::Type":$rhs,
                        "::mlir::Type":$sum,
                        "::headrace::hr::SizeAttr":$flops);
  let assemblyFormat = "`<` $lhs `,` $rhs `->` $sum `,` $flops `>`";
}

def HR_OriginAttr : HR_Attr<"Origin", "origin"> {
  let summary = "what the function of a stage was made of";
  let description = [{
    For reports and profiles, which see no more of a stage than its function: the
    plan, the sums of products, and where the stage's operations stand in the
    user's program.

    ```mlir
    func.func private @ffn_up(...) attributes {hr.origin = #hr.origin<
        plan = #hr.plan<...>, contractions = [#hr.contraction<...>],
        sources = [loc("model.py":12:0)]>}
    ```
  }];
  let parameters = (ins "::headrace::hr::PlanAttr":$plan,
                        "::mlir::ArrayAttr":$contractions, // #hr.contraction
                        "::mlir::ArrayAttr":$sources);     // locations
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def HR_BufferKind : I32EnumAttr<"BufferKind", "where a buffer lives", [
  I32EnumAttrCase<"Input", 0, "input">, I32EnumAttrCase<"Output", 1, "output">,
  I32EnumAttrCase<"Temp", 2, "temp">, I32EnumAttrCase<"Const", 3, "const">,
  I32EnumAttrCase<"State", 4, "state">]> {
  let cppNamespace = "::headrace::hr";
  let genSpecializedAttr = 0;
}
def HR_BufferKindAttr : EnumAttr<HR_Dialect, HR_BufferKind, "buffer_kind">;

def HR_Access : I32EnumAttr<"Access", "what a stage does with an operand", [
  I32EnumAttrCase<"Read", 0, "read">, I32EnumAttrCase<"Write", 1, "write">,
  I32EnumAttrCase<"ReadWrite", 2, "readwrite">]> {
  let cppNamespace = "::headrace::hr";
  let genSpecializedAttr = 0;
}
def HR_AccessAttr : EnumAttr<HR_Dialect, HR_Access, "access">;

def HR_Combiner : I32EnumAttr<"Combiner", "how an update meets what is there", [
  I32EnumAttrCase<"Replace", 0, "replace">, I32EnumAttrCase<"Add", 1, "add">,
  I32EnumAttrCase<"Mul", 2, "mul">, I32EnumAttrCase<"Min", 3, "min">,
  I32EnumAttrCase<"Max", 4, "max">]> {
  let cppNamespace = "::headrace::hr";
  let genSpecializedAttr = 0;
}
def HR_CombinerAttr : EnumAttr<HR_Dialect, HR_Combiner, "combiner">;

//===----------------------------------------------------------------------===//
// Weights, state, sizes
//===----------------------------------------------------------------------===//

class HR_Op<string mnemonic, list<Trait> traits = []>
    : Op<HR_Dialect, mnemonic, traits>;

def HR_WeightOp : HR_Op<"weight", [Symbol]> {
  let summary = "immutable data known at compile time, by name";
  let description = [{
    Declares a tensor whose bytes are in the `WeightStore` under the same name,
    row-major and contiguous as read from there. No bytes are in the IR.

    ```mlir
    hr.weight @"encoder.weight" : tensor<384x384xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<AnyRankedTensor>:$type);
  let assemblyFormat = "$sym_name attr-dict `:` $type";
}

def HR_StateOp : HR_Op<"state", [Symbol]> {
  let summary = "a tensor that lives in the context and survives calls";
  let description = [{
    A mutated buffer of the program. A new context starts with the bytes of the
    weight `initial`, or with zeros when there is none. `fqn` is the buffer's
    name in the user's module; entries that name the same buffer share it.

    ```mlir
    hr.state @k_cache : tensor<1x4x128x32xf32> initial(@"k_cache.initial")
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<AnyRankedTensor>:$type,
                       OptionalAttr<FlatSymbolRefAttr>:$initial);
  let assemblyFormat = "$sym_name `:` $type (`initial` `(` $initial^ `)`)? attr-dict";
}

def HR_ConstantOp : HR_Op<"constant", [Pure]> {
  let summary = "the value of a weight, or of one of a stack of weights";
  let description = [{
    With one symbol, that weight. With several, all of one type, the one that
    `index` selects: the body of an `hr.repeat` names its layers' weights so.

    ```mlir
    %w = hr.constant [@w] : tensor<384x384xf32>
    %v = hr.constant [@"l0.w", @"l1.w"][%i] : tensor<384x384xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefArrayAttr:$weights, Optional<Index>:$index);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$weights (`[` $index^ `]`)? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def HR_ReadStateOp : HR_Op<"read_state", [MemoryEffects<[MemRead]>]> {
  let summary = "the value of a state at this point of the program";
  let description = [{
    ```mlir
    %k = hr.read_state [@k_cache] : tensor<1x4x128x32xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefArrayAttr:$states, Optional<Index>:$index);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$states (`[` $index^ `]`)? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def HR_WriteStateOp : HR_Op<"write_state", [MemoryEffects<[MemWrite]>]> {
  let summary = "gives a state its new value";
  let description = [{
    At most once per state and entry, after every read of it. When the value is
    an update of what was read, and the read has no other use, the state is
    updated in place.

    ```mlir
    hr.write_state %new, [@k_cache] : tensor<1x4x128x32xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$value, FlatSymbolRefArrayAttr:$states,
                       Optional<Index>:$index);
  let assemblyFormat = "$value `,` $states (`[` $index^ `]`)? attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def HR_SizeOp : HR_Op<"size", [Pure]> {
  let summary = "a symbolic size as an index";
  let description = [{
    ```mlir
    %n = hr.size #hr.size<"s0 * s1">
    ```
  }];
  let arguments = (ins HR_SizeAttr:$size);
  let results = (outs Index:$result);
  let assemblyFormat = "$size attr-dict";
  let hasFolder = 1;
}

def HR_CheckOp : HR_Op<"check", [Pure,
    AllTypesMatch<["value", "otherwise", "result"]>]> {
  let summary = "a scalar under a condition on data";
  let description = [{
    Stands in bodies of structured ops. The result is `value` where `holds` is
    true. Elsewhere the data is not what the operator `what` asks for: the
    result is `otherwise`, and the call returns an error that says `message`.
    With a range (two numbers), the message is the name of the first number, and
    the error says that it is not in [0, second).

    Like the index of an `hr.gather`, what nobody reads is not checked.

    ```mlir
    %d = hr.check %holds, %divisor else %one what "floor_divide"
        message "the divisor of an integer division is zero" : i32
    %c = hr.check %holds, %class else %zero what "one_hot" message "class"
        range %class, %classes : i64
    ```
  }];
  let arguments = (ins I1:$holds, AnyType:$value, AnyType:$otherwise,
                       Variadic<I64>:$range, StrAttr:$what, StrAttr:$message);
  let results = (outs AnyType:$result);
  let assemblyFormat = [{
    $holds `,` $value `else` $otherwise `what` $what `message` $message
    (`range` $range^)? attr-dict `:` type($value)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Views and data movement on tensors
//===----------------------------------------------------------------------===//

def HR_ReshapeOp : HR_Op<"reshape", [Pure]> {
  let summary = "the same elements in row-major order under another shape";
  let description = [{
    `dims` is the result's shape, one size per dimension; the element counts are
    equal for every binding of the symbols.

    ```mlir
    %1 = hr.reshape %0 to [#hr.size<"s0">, #hr.size<"12">, #hr.size<"32">]
        : tensor<?x384xf32> to tensor<?x12x32xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$source, HR_SizeArrayAttr:$dims);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$source `to` $dims attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def HR_ViewOp : HR_Op<"view", [Pure]> {
  let summary = "a strided selection of the elements of a tensor";
  let description = [{
    `result[i...] = source[offsets + map(i...)]`. `map` is linear (no constant
    term), from the result's dimensions to the source's; `offsets` holds one size
    per source dimension. Transposition, slicing with steps, selection, flipping
    (a negative coefficient), broadcasting (a dimension that no expression uses)
    and diagonals (one used twice) are all this op. Every access is in bounds for
    every binding of the symbols.

    ```mlir
    %t = hr.view %x at [#hr.size<"0">, #hr.size<"2">]
        map affine_map<(d0, d1) -> (d1, d0 * 2)> dims [#hr.size<"4">, #hr.size<"s0">]
        : tensor<?x10xf32> to tensor<4x?xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$source, HR_SizeArrayAttr:$offsets,
                       AffineMapAttr:$map, HR_SizeArrayAttr:$dims);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $source `at` $offsets `map` $map `dims` $dims attr-dict
    `:` type($source) `to` type($result)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def HR_UpdateOp : HR_Op<"update", [Pure, AllTypesMatch<["base", "result"]>,
    DeclareOpInterfaceMethods<HR_TileableOpInterface,
        ["getTileRegion", "readsFromMemory"]>]> {
  let summary = "a tensor with a strided region replaced";
  let description = [{
    The value of `base` with `value` written at `base[offsets + map(i...)]`; map
    and offsets as in `hr.view`, `map` injective.

    ```mlir
    %1 = hr.update %base with %value at [#hr.size<"0">, #hr.size<"3">]
        map affine_map<(d0) -> (d0, 0)> : tensor<8x10xf32>, tensor<8xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$base, AnyRankedTensor:$value,
                       HR_SizeArrayAttr:$offsets, AffineMapAttr:$map);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $base `with` $value `at` $offsets `map` $map attr-dict
    `:` type($base) `,` type($value)
  }];
  let hasVerifier = 1;
}

def HR_ConcatOp : HR_Op<"concat", [Pure]> {
  let summary = "tensors joined along one dimension";
  let description = [{
    ```mlir
    %c = hr.concat dim 1 (%a, %b) : (tensor<2x3xf32>, tensor<2x?xf32>) -> tensor<2x?xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, I64Attr:$dim,
                       HR_SizeArrayAttr:$dims);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    `dim` $dim `(` $inputs `)` `dims` $dims attr-dict `:` functional-type($inputs, $result)
  }];
  let hasVerifier = 1;
}

def HR_PadOp : HR_Op<"pad", [Pure]> {
  let summary = "a tensor with a constant border";
  let description = [{
    `low[d]` elements before and `high[d]` after dimension `d` (sizes that are
    never negative), all equal to the scalar `value`.

    ```mlir
    %p = hr.pad %x low [#hr.size<"1">] high [#hr.size<"1">] value 0.0 : f32
        dims [#hr.size<"10">] : tensor<8xf32> to tensor<10xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$source, HR_SizeArrayAttr:$low,
                       HR_SizeArrayAttr:$high, TypedAttrInterface:$value,
                       HR_SizeArrayAttr:$dims);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $source `low` $low `high` $high `value` $value `dims` $dims attr-dict
    `:` type($source) `to` type($result)
  }];
  let hasVerifier = 1;
}

def HR_GatherOp : HR_Op<"gather", [Pure,
    DeclareOpInterfaceMethods<HR_TileableOpInterface,
        ["getTileRegion", "readsFromMemory"]>]> {
  let summary = "reads elements whose position is data";
  let description = [{
    The iteration space is the result's. `source[p]` is read where, for source
    dimension `d`, `p[d]` is `select[d]` of the iteration point if that is not
    negative in meaning: `source_dims[d] = k >= 0` takes the value of index
    operand `k` at its `index_maps[k]`; `source_dims[d] = -1` takes result `d`
    of `source_map`. An index value outside `[0, dim)` is an error of the call:
    it is recorded in the context with `what`, nothing is read, and the element
    is any value. With `wrap`, values in `[-dim, 0)` count from the end (Python's
    rule). `dim` may be 0: then every index is outside.

    ```mlir
    // embedding: out[b, s, h] = table[ids[b, s], h]
    %e = hr.gather %table[%ids] map affine_map<(d0, d1, d2) -> (0, d2)>
        indices [affine_map<(d0, d1, d2) -> (d0, d1)>] source_dims [0, -1]
        dims [#hr.size<"1">, #hr.size<"128">, #hr.size<"384">] what "embedding"
        : tensor<30522x384xf32>, (tensor<1x128xi64>) -> tensor<1x128x384xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$source, Variadic<AnyRankedTensor>:$indices,
                       AffineMapAttr:$source_map, AffineMapArrayAttr:$index_maps,
                       DenseI64ArrayAttr:$source_dims, HR_SizeArrayAttr:$dims,
                       StrAttr:$what, UnitAttr:$wrap);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $source `[` $indices `]` `map` $source_map `indices` $index_maps
    `source_dims` $source_dims `dims` $dims `what` $what (`wrap` $wrap^)? attr-dict
    `:` type($source) `,` `(` type($indices) `)` `->` type($result)
  }];
  let hasVerifier = 1;
}

def HR_ScatterOp : HR_Op<"scatter", [Pure,
    DeclareOpInterfaceMethods<HR_TileableOpInterface,
        ["getTileRegion", "readsFromMemory"]>]> {
  let summary = "writes elements to positions that are data";
  let description = [{
    The value of `base` after, for each point of the iteration space (that of
    `updates`) in row-major order, `base[p]` has been combined with the update;
    `p` is found as in `hr.gather`. A stage that meets an index outside its range
    writes none of the updates that the same tile would write.

    ```mlir
    // cache[b, h, pos[i], d] = k[b, h, i, d]
    %c = hr.scatter %k into %cache[%pos] combine replace
        map affine_map<(d0, d1, d2, d3) -> (d0, d1, 0, d3)>
        indices [affine_map<(d0, d1, d2, d3) -> (d2)>] source_dims [-1, -1, 0, -1]
        what "index_copy" : tensor<1x4x?x32xf32>, tensor<1x4x128x32xf32>, (tensor<?xi64>)
    ```
  }];
  let arguments = (ins AnyRankedTensor:$updates, AnyRankedTensor:$base,
                       Variadic<AnyRankedTensor>:$indices,
                       HR_CombinerAttr:$combiner, AffineMapAttr:$source_map,
                       AffineMapArrayAttr:$index_maps,
                       DenseI64ArrayAttr:$source_dims, StrAttr:$what,
                       UnitAttr:$wrap);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $updates `into` $base `[` $indices `]` `combine` $combiner `map` $source_map
    `indices` $index_maps `source_dims` $source_dims `what` $what (`wrap` $wrap^)?
    attr-dict `:` type($updates) `,` type($base) `,` `(` type($indices) `)`
    `->` type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Reductions that stream
//===----------------------------------------------------------------------===//

def HR_SoftmaxSumOp : HR_Op<"softmax_sum", [Pure,
    DeclareOpInterfaceMethods<HR_TileableOpInterface,
        ["mergesPartialResults", "getProductTypes"]>]> {
  let summary = "sums weighted by the softmax of logits, in one pass";
  let description = [{
    Over the iteration space of `maps` (logits, value, result; the dimensions
    that the result's map does not use are the streamed ones, exactly one):

        m   = max over j of logits
        l   = sum over j of exp(logits - m)
        res = sum over j of exp(logits - m) * value  /  l

    The op is a monoid over its streamed dimension: the state is (m, l, sum),
    the empty state (-inf, 0, 0), and two states merge by rescaling each with
    exp(m_i - max(m_1, m_2)). So it is computed in one pass over blocks of j,
    with nothing of the size of the logits stored. Where all logits of a row are
    -inf the result is NaN, as the written-out form gives; with `zero_masked_rows`
    it is 0 (what scaled_dot_product_attention defines for boolean masks).
    Over no j at all it is 0 too, a sum of nothing.
    Logits, state and result are of the element type of `logits` and `result`;
    the state is kept in f32 for narrower types. With `weights` the program
    rounds its weights to that type before they multiply the values: whoever
    computes the op may do so, and then hand both to an instruction for narrow
    operands.

    ```mlir
    %o = hr.softmax_sum %e, %v maps [
        affine_map<(b, h, i, j, d) -> (b, h, i, j)>,
        affine_map<(b, h, i, j, d) -> (b, h, j, d)>,
        affine_map<(b, h, i, j, d) -> (b, h, i, d)>] dims [...]
        : tensor<1x12x128x128xf32>, tensor<1x12x128x32xf32> -> tensor<1x12x128x32xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$logits, AnyRankedTensor:$value,
                       AffineMapArrayAttr:$maps, HR_SizeArrayAttr:$dims,
                       UnitAttr:$zero_masked_rows,
                       OptionalAttr<TypeAttr>:$weights);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $logits `,` $value `maps` $maps `dims` $dims (`zero_masked_rows` $zero_masked_rows^)?
    (`weights` $weights^)? attr-dict `:` type($logits) `,` type($value) `->` type($result)
  }];
  let hasVerifier = 1;
}

def HR_ScanOp : HR_Op<"scan", [Pure,
    DeclareOpInterfaceMethods<HR_TileableOpInterface>]> {
  let summary = "running combination along one dimension";
  let description = [{
    `result[.., i, ..] = combine(source[.., 0..i, ..])`, inclusive. A sum of
    floats starts from 0.0, so it is never -0.0.

    ```mlir
    %s = hr.scan %x dim 1 combine add : tensor<4x?xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$source, I64Attr:$dim, HR_CombinerAttr:$combiner);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$source `dim` $dim `combine` $combiner attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def HR_SortOp : HR_Op<"sort", [Pure,
    DeclareOpInterfaceMethods<HR_TileableOpInterface>]> {
  let summary = "the order of the elements along one dimension";
  let description = [{
    `result[.., i, ..]` is the index along `dim` of the element that comes i-th:
    from the least on, or from the greatest with `descending`. NaN is greater
    than every number; of equal elements the one with the lesser index comes
    first. Integers are signed.

    ```mlir
    %o = hr.sort %x dim 1 descending : tensor<4x?xf32> -> tensor<4x?xi64>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$source, I64Attr:$dim, UnitAttr:$descending);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$source `dim` $dim (`descending` $descending^)? attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Structure of a program
//===----------------------------------------------------------------------===//

def HR_YieldOp : HR_Op<"yield", [Pure, Terminator, ReturnLike,
    ParentOneOf<["RepeatOp", "StageOp"]>]> {
  let summary = "ends the region of a repeat or a stage";
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def HR_RepeatOp : HR_Op<"repeat", [SingleBlock, RecursiveMemoryEffects]> {
  let summary = "identical layers, compiled once";
  let description = [{
    Runs the body `count` times. Block arguments: the iteration's number (an
    index), then the carried values. The body names its weights and states as
    stacks indexed by that number; it may use values from above.

    ```mlir
    %y = hr.repeat 6 (%x) : (tensor<1x128x384xf32>) -> tensor<1x128x384xf32> {
    ^bb0(%i: index, %c: tensor<1x128x384xf32>):
      %w = hr.constant [@w0, @w1, @w2, @w3, @w4, @w5][%i] : tensor<384xf32>
      ...
      hr.yield %n : tensor<1x128x384xf32>
    }
    ```
  }];
  let arguments = (ins I64Attr:$count, Variadic<AnyRankedTensor>:$inits);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $count `(` $inits `)` attr-dict `:` functional-type($inits, $results) $body
  }];
  let hasVerifier = 1;
}

def HR_StageOp : HR_Op<"stage", [SingleBlock, IsolatedFromAbove]> {
  let summary = "a fused group of operations: one kernel";
  let description = [{
    One block argument per operand; yields the values other stages need. `plan`
    is filled in by the planner.

    ```mlir
    %h = hr.stage @ffn_up (%x, %w) : (tensor<128x384xf32>, tensor<1536x384xf32>) -> tensor<128x1536xf32> {
    ^bb0(%a: tensor<128x384xf32>, %b: tensor<1536x384xf32>):
      ...
      hr.yield %g : tensor<128x1536xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Variadic<AnyRankedTensor>:$inputs,
                       OptionalAttr<HR_PlanAttr>:$plan);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `(` $inputs `)` attr-dict
    `:` functional-type($inputs, $results) $body
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Atoms
//===----------------------------------------------------------------------===//

def HR_FragmentType : TypeDef<HR_Dialect, "Fragment"> {
  let mnemonic = "fragment";
  let summary = "a small matrix that lives where an atom wants it";
  let description = [{
    Held in tile registers, or spread over the lanes of a warp: what it is made
    of, the target alone knows. Made by a load or as zeros, used by
    `hr.fragment_multiply`, and read by storing it.

    ```mlir
    !hr.fragment<16x32xbf16>
    ```
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns,
                        "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
}

def HR_GroupDotOp : HR_Op<"group_dot", [Pure,
    TypesMatchWith<"result and accumulator have one type", "acc", "result",
                   "$_self">,
    TypesMatchWith<"both operands have one shape", "lhs", "rhs", "$_self">]> {
  let summary = "adds the products of groups of lanes to the lanes of a sum";
  let description = [{
    `result[i] = acc[i] + sum over j < k of lhs[i * k + j] * rhs[i * k + j]`,
    in the order and with the roundings of the `instruction`.

    ```mlir
    %s = hr.group_dot "x86.vdpbf16ps" %a, %b, %c : vector<32xbf16>, vector<16xf32>
    ```
  }];
  let arguments = (ins StrAttr:$instruction, AnyVectorOfNonZeroRank:$lhs,
                       AnyVectorOfNonZeroRank:$rhs, AnyVectorOfNonZeroRank:$acc);
  let results = (outs AnyVectorOfNonZeroRank:$result);
  let assemblyFormat = [{
    $instruction $lhs `,` $rhs `,` $acc attr-dict `:` type($lhs) `,` type($acc)
  }];
  let hasVerifier = 1;
}

def HR_GroupRoundOp : HR_Op<"group_round", [Pure]> {
  let summary = "rounds lanes to groups as an instruction takes them";
  let description = [{
    `result[i * k + j] = parts[j][i]`, k the number of parts, rounded to nearest,
    ties to even. What the `instruction` takes as zero (subnormal numbers) may
    become zero.

    ```mlir
    %p = hr.group_round "x86.vdpbf16ps" %a, %b
        : vector<16xf32>, vector<16xf32> to vector<32xbf16>
    ```
  }];
  let arguments = (ins StrAttr:$instruction,
                       Variadic<AnyVectorOfNonZeroRank>:$parts);
  let results = (outs AnyVectorOfNonZeroRank:$result);
  let assemblyFormat = [{
    $instruction $parts attr-dict `:` type($parts) `to` type($result)
  }];
  let hasVerifier = 1;
}

def HR_FragmentZeroOp : HR_Op<"fragment_zero", [Pure]> {
  let summary = "a fragment of zeros";
  let description = [{
    ```mlir
    %z = hr.fragment_zero : !hr.fragment<16x16xf32>
    ```
  }];
  let results = (outs HR_FragmentType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def HR_FragmentLoadOp : HR_Op<"fragment_load"> {
  let summary = "a fragment from memory";
  let description = [{
    Row r begins at `memref[at + r * stride]`, all in elements of the memref,
    which has as many bits per element as the fragment.

    ```mlir
    %a = hr.fragment_load %m[%at], %stride : memref<?xi16>, !hr.fragment<16x32xbf16>
    ```
  }];
  let arguments = (ins Arg<AnyMemRef, "from", [MemRead]>:$memref, Index:$at,
                       Index:$stride);
  let results = (outs HR_FragmentType:$result);
  let assemblyFormat = [{
    $memref `[` $at `]` `,` $stride attr-dict `:` type($memref) `,` type($result)
  }];
}

def HR_FragmentMultiplyOp : HR_Op<"fragment_multiply", [Pure,
    TypesMatchWith<"result and accumulator have one type", "acc", "result",
                   "$_self">]> {
  let summary = "a fragment plus the product of two";
  let description = [{
    `rhs` has the elements along k that fill one element of the sum side by side:
    its row is a group of k, its columns are (n, element of the group).

    ```mlir
    %s = hr.fragment_multiply "x86.tdpbf16ps" %a, %b, %c
        : !hr.fragment<16x32xbf16>, !hr.fragment<16x32xbf16>, !hr.fragment<16x16xf32>
    ```
  }];
  let arguments = (ins StrAttr:$instruction, HR_FragmentType:$lhs,
                       HR_FragmentType:$rhs, HR_FragmentType:$acc);
  let results = (outs HR_FragmentType:$result);
  let assemblyFormat = [{
    $instruction $lhs `,` $rhs `,` $acc attr-dict
    `:` type($lhs) `,` type($rhs) `,` type($acc)
  }];
  let hasVerifier = 1;
}

def HR_FragmentStoreOp : HR_Op<"fragment_store"> {
  let summary = "a fragment to memory";
  let description = [{
    The inverse of `hr.fragment_load`.

    ```mlir
    hr.fragment_store %s, %m[%at], %stride : !hr.fragment<16x16xf32>, memref<?xf32>
    ```
  }];
  let arguments = (ins HR_FragmentType:$value,
                       Arg<AnyMemRef, "to", [MemWrite]>:$memref, Index:$at,
                       Index:$stride);
  let assemblyFormat = [{
    $value `,` $memref `[` $at `]` `,` $stride attr-dict
    `:` type($value) `,` type($memref)
  }];
}

//===----------------------------------------------------------------------===//
// Buffers and runs: what stands after `tiled`
//===----------------------------------------------------------------------===//

def HR_BufferType : TypeDef<HR_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "a buffer of one element type";
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
}

def HR_BufferOp : HR_Op<"buffer"> {
  let summary = "a buffer of the entry, with its index space";
  let description = [{
    Row-major over `dims`. `input` and `output` name the entry's argument or
    result `number`; `const` and `state` name weights or states (`symbols`),
    several of them being the slots of a stack; a `temp` has `slots` copies.
    `align` is in bytes.

    ```mlir
    %x = hr.buffer input number 0 dims [#hr.size<"s0">, #hr.size<"384">] : !hr.buffer<f32>
    %w = hr.buffer const of [@"l0.w", @"l1.w"] slots 2 dims [...] : !hr.buffer<f32>
    %t = hr.buffer temp slots 2 dims [...] : !hr.buffer<f32>
    ```
  }];
  let arguments = (ins HR_BufferKindAttr:$kind, OptionalAttr<I64Attr>:$number,
                       OptionalAttr<FlatSymbolRefArrayAttr>:$symbols,
                       DefaultValuedAttr<I64Attr, "1">:$slots,
                       HR_SizeArrayAttr:$dims,
                       DefaultValuedAttr<I64Attr, "64">:$align);
  let results = (outs HR_BufferType:$result);
  let assemblyFormat = [{
    $kind (`number` $number^)? (`of` $symbols^)? (`slots` $slots^)? `dims` $dims attr-dict `:` type($result)
  }];
  let hasVerifier = 1;
}

def HR_RunOp : HR_Op<"run"> {
  let summary = "runs all tiles of a stage";
  let description = [{
    `stage` is a private function of the module with the arguments

        (index first_tile, index last_tile, memref<?xi8> scratch,
         memref<?xi8> context,
         one flat memref<?xT> per operand, one index per symbol of `symbols`,
         and, inside an hr.loop, the iteration's number as a last index)

    that executes the tiles [first_tile, last_tile) in order. A tile's number
    is the row-major number of its coordinates in `grid`. For each operand:
    `access`; `slots`, an affine map of the loop's iteration (`affine_map<(i) ->
    (i)>`; a constant map outside a loop) that selects the slot; `footprints`.
    `scratch_bytes` is what one worker needs besides; `flops` and `compute` feed
    the simulator: operations of all tiles together, and the femtoseconds that one
    worker would compute for, had it every byte at hand.
    Runs are listed in program order: the order fixes what the dependences are.
    `keeps` lists operands that are updated in place: parts of their footprints
    may keep their value, so the buffer must not have been reused since.
    A stage reports data that breaks a condition (an index out of range, an
    `hr.check`) as headrace/Target/StageABI.h says, and goes on.

    ```mlir
    hr.run @ffn_up grid [#hr.size<"4">, #hr.size<"1">] (%x, %w, %h)
        access [read, read, write] slots [...] footprints [...]
        : !hr.buffer<f32>, !hr.buffer<f32>, !hr.buffer<f32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$stage, HR_SizeArrayAttr:$grid,
                       Variadic<HR_BufferType>:$operands_,
                       TypedArrayAttrBase<HR_AccessAttr, "accesses">:$access,
                       AffineMapArrayAttr:$slots,
                       TypedArrayAttrBase<HR_FootprintAttr, "footprints">:$footprints,
                       ArrayAttr:$symbols, DefaultValuedAttr<I64Attr, "0">:$scratch_bytes,
                       OptionalAttr<HR_SizeAttr>:$flops,
                       OptionalAttr<HR_SizeAttr>:$compute,
                       UnitAttr:$non_temporal,
                       OptionalAttr<DenseI64ArrayAttr>:$keeps);
  let assemblyFormat = [{
    $stage `grid` $grid `(` $operands_ `)` `access` $access `slots` $slots
    `footprints` $footprints `symbols` $symbols (`scratch` $scratch_bytes^)?
    (`flops` $flops^)? (`compute` $compute^)? (`non_temporal` $non_temporal^)?
    (`keeps` $keeps^)? attr-dict `:` type($operands_)
  }];
  let hasVerifier = 1;
}

def HR_LoopOp : HR_Op<"loop", [SingleBlock, NoTerminator]> {
  let summary = "runs repeated `count` times over stacked buffers";
  let description = [{
    The form that `hr.repeat` takes once values are buffers. Holds `hr.run`s and
    nothing else, at least one iteration of them.

    ```mlir
    hr.loop 6 {
      hr.run @attention ...
      hr.run @ffn ...
    }
    ```
  }];
  let arguments = (ins I64Attr:$count);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$count attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

#endif // HEADRACE_DIALECT_HR_HROPS
