//===- AtenOps.td - The aten dialect -----------------------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_ATEN_ATENOPS
#define HEADRACE_DIALECT_ATEN_ATENOPS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Aten_Dialect : Dialect {
  let name = "aten";
  let cppNamespace = "::headrace::aten";
  let summary = "an exported PyTorch graph, exactly";
  let description = [{
    One op, `aten.call`, stands for a call of any ATen operator; it is checked
    against the table of schemas generated from torch. A second one holds the
    calls that carry subgraphs.

    Tensors are builtin tensors. Where a shape is symbolic, or eager's strides
    are not the row-major ones, the type carries an `#aten.layout`. Element
    types say what torch's dtypes say: `ui8` for `uint8`, `i1` for `bool`,
    `complex<f32>`. Symbolic integers are `#hr.size` attributes over the symbols
    of the entry, never values.

    Weights and state are `hr.weight`, `hr.constant`, `hr.state` from the start.
    An entry is a public `func.func`; besides the attributes of the hr dialect
    it has `hr.in_leaves` and `hr.out_leaves`, one element per leaf of the
    pytrees: the number of the argument or result (i64), or the constant that
    stands there (unit for None, a bool, a float, a string, `#hr.size` for a
    number). Result attribute `hr.mutates = i` marks an extra result that is
    the new value of argument `i`, which the program writes in place.
  }];
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::headrace::hr::HRDialect"];
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

class Aten_Attr<string name, string mn> : AttrDef<Aten_Dialect, name> {
  let mnemonic = mn;
}

def Aten_LayoutAttr : Aten_Attr<"Layout", "layout"> {
  let summary = "the symbolic shape of a tensor and the strides eager gives it";
  let description = [{
    The encoding of a tensor type. `dims` has one size per dimension, static ones
    too. `strides`, in elements, is left out where they are the row-major ones.
    A type whose shape is static and whose strides are row-major has no
    encoding. Strides decide what is a view and what a copy; they say nothing
    about the layout the compiler will choose.

    ```mlir
    tensor<?x384xf32, #aten.layout<dims = ["s0", "384"]>>
    tensor<384x128xf32, #aten.layout<dims = ["384", "128"], strides = ["1", "384"]>>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"::headrace::hr::SizeAttr">:$dims,
                        ArrayRefParameter<"::headrace::hr::SizeAttr">:$strides);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Aten_ValueAttr : Aten_Attr<"Value", "value"> {
  let summary = "an operand of the call, by number";
  let parameters = (ins "unsigned":$index);
  let assemblyFormat = "`<` $index `>`";
}

def Aten_RegionAttr : Aten_Attr<"Region", "region"> {
  let summary = "a region of the call, by number";
  let parameters = (ins "unsigned":$index);
  let assemblyFormat = "`<` $index `>`";
}

def Aten_NoneAttr : Aten_Attr<"None", "none"> {
  let summary = "Python's None";
}

def Aten_ComplexAttr : Aten_Attr<"Complex", "complex"> {
  let summary = "a complex number";
  let parameters = (ins "::mlir::FloatAttr":$real, "::mlir::FloatAttr":$imag);
  let assemblyFormat = "`<` $real `,` $imag `>`";
}

def Aten_DeviceAttr : Aten_Attr<"Device", "device"> {
  let summary = "a device, as torch spells it: `cpu`, `cuda:0`";
  let parameters = (ins StringRefParameter<"name">:$name);
  let assemblyFormat = "`<` $name `>`";
}

def Aten_MemoryFormat : I32EnumAttr<"MemoryFormat", "a torch memory format", [
  I32EnumAttrCase<"Contiguous", 1, "contiguous">,
  I32EnumAttrCase<"ChannelsLast", 2, "channels_last">,
  I32EnumAttrCase<"ChannelsLast3d", 3, "channels_last_3d">,
  I32EnumAttrCase<"Preserve", 4, "preserve">]> {
  let cppNamespace = "::headrace::aten";
  let genSpecializedAttr = 0;
}
def Aten_MemoryFormatAttr
    : EnumAttr<Aten_Dialect, Aten_MemoryFormat, "memory_format"> {
  let assemblyFormat = "`<` $value `>`";
}

def Aten_TorchLayout : I32EnumAttr<"TorchLayout", "a torch layout", [
  I32EnumAttrCase<"SparseCoo", 1, "sparse_coo">,
  I32EnumAttrCase<"SparseCsr", 2, "sparse_csr">,
  I32EnumAttrCase<"SparseCsc", 3, "sparse_csc">,
  I32EnumAttrCase<"SparseBsr", 4, "sparse_bsr">,
  I32EnumAttrCase<"SparseBsc", 5, "sparse_bsc">,
  I32EnumAttrCase<"Mkldnn", 6, "mkldnn">,
  I32EnumAttrCase<"Strided", 7, "strided">]> {
  let cppNamespace = "::headrace::aten";
  let genSpecializedAttr = 0;
}
def Aten_TorchLayoutAttr
    : EnumAttr<Aten_Dialect, Aten_TorchLayout, "torch_layout"> {
  let assemblyFormat = "`<` $value `>`";
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

def Aten_CallOp : Op<Aten_Dialect, "call",
    [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "a call of an ATen operator";
  let description = [{
    `args` has one element per argument of the schema, in its order, none left
    out: `#aten.value<i>` for operand `i`, `#aten.none`, an integer (i64),
    `#hr.size` for a symbolic one, a float (f64), a bool, a string,
    `#aten.complex`, a type for a dtype, `#aten.memory_format`,
    `#aten.torch_layout`, `#aten.device`, and an array of these for a list.

    Where the schema wants a tensor, a number may stand: Python's `x + 1` is
    `aten.add.Tensor` with 1. It counts as a tensor without dimensions that
    takes part in type promotion only by its category (bool, integer, float,
    complex); such an argument is no operand.

    A result that is a list of tensors becomes one result per element; such an
    operator has no other results.

    The verifier checks the number and the kinds of arguments and results, that
    operands are named once each in order, not their shapes. An operator that
    writes to an argument has memory effects until `aten-functionalize`.

    ```mlir
    %1 = aten.call "aten.add.Tensor"(%0, %0) [#aten.value<0>, #aten.value<1>, 1]
        : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %2 = aten.call "aten.sum.dim_IntList"(%1) [#aten.value<0>, [-1], true, #aten.none]
        : (tensor<4xf32>) -> tensor<1xf32>
    ```
  }];
  let arguments = (ins StrAttr:$callee, Variadic<AnyType>:$inputs,
                       ArrayAttr:$args);
  let results = (outs Variadic<AnyType>:$results);
  let assemblyFormat = [{
    $callee `(` $inputs `)` $args attr-dict `:` functional-type($inputs, $results)
  }];
  let hasVerifier = 1;
  let builders = [
    // Makes inputs and `args` from attributes, values and lists of values.
    OpBuilder<(ins "::mlir::TypeRange":$results, "::llvm::StringRef":$callee,
                   "::llvm::ArrayRef<::headrace::aten::CallArg>":$callArgs)>
  ];
  let extraClassDeclaration = [{
    /// Never null on verified IR.
    const Schema *getSchema();
    /// `aten.add_`, without the overload.
    ::llvm::StringRef getBaseName();
    /// `Tensor`, `default`: the overload alone.
    ::llvm::StringRef getOverload();

    /// The argument of that name, as in `args`; null if the schema has no such
    /// argument.
    ::mlir::Attribute getArg(::llvm::StringRef name);
    bool hasArg(::llvm::StringRef name) { return bool(getArg(name)); }
    /// The argument is None (or the schema has no such argument).
    bool isNone(::llvm::StringRef name);

    /// The tensor given for an argument; null if it is None or no tensor.
    ::mlir::Value getTensor(::llvm::StringRef name);
    /// The tensors of a list; None elements are null values.
    ::llvm::SmallVector<::mlir::Value> getTensorList(::llvm::StringRef name);
    /// A constant integer; nothing if it is None, symbolic or no integer.
    std::optional<int64_t> getInt(::llvm::StringRef name);
    /// A constant or symbolic integer.
    std::optional<::headrace::SizeExpr> getSize(::llvm::StringRef name);
    /// A list of integers, each constant or symbolic; a plain integer counts as
    /// a list of one. Nothing if it is None.
    std::optional<::llvm::SmallVector<::headrace::SizeExpr>>
    getSizeList(::llvm::StringRef name);
    /// A list of constant integers; nothing if it is None or one is symbolic.
    std::optional<::llvm::SmallVector<int64_t>>
    getIntList(::llvm::StringRef name);
    /// A float, an integer or a bool as a double.
    std::optional<double> getFloat(::llvm::StringRef name);
    std::optional<::llvm::SmallVector<double>>
    getFloatList(::llvm::StringRef name);
    std::optional<bool> getBool(::llvm::StringRef name);
    /// A dtype as an element type; null if it is None.
    ::mlir::Type getDType(::llvm::StringRef name);
    std::optional<::llvm::StringRef> getString(::llvm::StringRef name);
  }];
}

def Aten_RegionCallOp : Op<Aten_Dialect, "region_call",
    [RecursiveMemoryEffects]> {
  let summary = "a call of an operator that carries subgraphs";
  let description = [{
    `cond`, `while_loop`, `scan`, `map_impl` and the like. `args` is as in
    `aten.call`, with `#aten.region<i>` where a subgraph is given; there is no
    schema to check it against. The block arguments of a region are the inputs
    of its graph.

    ```mlir
    %r = aten.region_call "cond"(%p, %x) [#aten.value<0>, #aten.region<0>, #aten.region<1>,
                                          [#aten.value<1>]] {
    ^bb0(%a: tensor<4xf32>):
      aten.yield %a : tensor<4xf32>
    }, {
    ^bb0(%a: tensor<4xf32>):
      aten.yield %a : tensor<4xf32>
    } : (tensor<i1>, tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins StrAttr:$callee, Variadic<AnyType>:$inputs,
                       ArrayAttr:$args);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region VariadicRegion<SizedRegion<1>>:$graphs);
  let assemblyFormat = [{
    $callee `(` $inputs `)` $args $graphs attr-dict
    `:` functional-type($inputs, $results)
  }];
  let hasVerifier = 1;
}

def Aten_YieldOp : Op<Aten_Dialect, "yield",
    [Pure, Terminator, ReturnLike, HasParent<"RegionCallOp">]> {
  let summary = "the results of a subgraph";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif // HEADRACE_DIALECT_ATEN_ATENOPS
