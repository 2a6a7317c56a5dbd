//===- Passes.td - Passes on exported programs -------------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_IMPORT_PASSES
#define HEADRACE_IMPORT_PASSES

include "mlir/Pass/PassBase.td"

def FunctionalizePass : Pass<"aten-functionalize", "mlir::ModuleOp"> {
  let summary = "writes in-place operators and mutated views out as values";
  let description = [{
    Each tensor value is a view of a *base*: an argument, a weight, a state or a
    fresh result. Eager's strides, kept in the types, say which results alias
    and which are copies. A write through a view becomes the new value of its
    base (`hr.update`, `hr.reshape`), and every other view of the base is read
    again from that value where it is next used. Views that nobody writes to
    stay as they are.

    A weight that some entry writes to becomes an `hr.state`, read and written
    once per entry. An argument that is written to gives an extra result with
    `hr.mutates`.

    Afterwards no call has a schema that writes. Refused, by name and at the
    user's line: writes through views whose elements overlap (`expand`), through
    reinterpretations (`view.dtype`, `view_as_real`, `as_strided`), operators
    that change a tensor's shape in place, writes in subgraphs, and reads of
    what a write may have changed without it being possible to say.

    ```mlir
    %1 = aten.call "aten.select.int"(%0) [#aten.value<0>, 0, 1] : (tensor<4x8xf32>) -> tensor<8xf32>
    %2 = aten.call "aten.add_.Tensor"(%1, %b) [#aten.value<0>, #aten.value<1>, 1] : ...
    ```
    becomes
    ```mlir
    %2 = aten.call "aten.add.Tensor"(%1, %b) [#aten.value<0>, #aten.value<1>, 1] : ...
    %3 = hr.update %0 with %2 at [#hr.size<"1">, #hr.size<"0">]
        map affine_map<(d0) -> (0, d0)> : tensor<4x8xf32>, tensor<8xf32>
    ```
    and later uses of `%0` use `%3`.
  }];
  let dependentDialects = ["headrace::hr::HRDialect"];
  let options = [
    Option<"leaveObstacles", "leave-obstacles", "bool", /*default=*/"false",
           "note what is refused in the module, for the conversion to report "
           "with what it refuses itself">,
  ];
}

#endif // HEADRACE_IMPORT_PASSES
