// What a conversion takes for given of sizes, and the ranges do not show, is
// required of the call.
// RUN: headrace-opt %s --split-input-file --aten-convert-to-tensor --hr-verify-tensor | FileCheck %s

// Sizes that meet in one loop are equal.
// CHECK-LABEL: func.func @add
// CHECK-SAME: hr.requires = [#hr.requirement<"min(-s0 + s1, s0 - s1)", "y.shape[0] == x.shape[0]", "{{.*}}">]
func.func @add(%x: tensor<?xf32, #aten.layout<dims = ["s0"]>> {hr.dims = [#hr.size<"s0">], hr.name = "x"},
               %y: tensor<?xf32, #aten.layout<dims = ["s1"]>> {hr.dims = [#hr.size<"s1">], hr.name = "y"})
    -> (tensor<?xf32, #aten.layout<dims = ["s0"]>> {hr.dims = [#hr.size<"s0">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 0, 64>, #hr.symbol<"s1", 0, 64>]} {
  %0 = aten.call "aten.add.Tensor"(%x, %y) [#aten.value<0>, #aten.value<1>, 1] : (tensor<?xf32, #aten.layout<dims = ["s0"]>>, tensor<?xf32, #aten.layout<dims = ["s1"]>>) -> tensor<?xf32, #aten.layout<dims = ["s0"]>>
  return %0 : tensor<?xf32, #aten.layout<dims = ["s0"]>>
}

// -----

// Another shape has as many elements.
// CHECK-LABEL: func.func @view
// CHECK-SAME: hr.requires = [#hr.requirement<"min(-s0 + 4 * (s0 floordiv 4), s0 - 4 * (s0 floordiv 4))", "x.shape[0] == 4 * (x.shape[0] // 4)", "{{.*}}">]
func.func @view(%x: tensor<?xf32, #aten.layout<dims = ["s0"]>> {hr.dims = [#hr.size<"s0">], hr.name = "x"})
    -> (tensor<?x4xf32, #aten.layout<dims = ["s0 floordiv 4", "4"]>> {hr.dims = [#hr.size<"s0 floordiv 4">, #hr.size<"4">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 0, 64>]} {
  %0 = aten.call "aten.view.default"(%x) [#aten.value<0>, [-1, 4]] : (tensor<?xf32, #aten.layout<dims = ["s0"]>>) -> tensor<?x4xf32, #aten.layout<dims = ["s0 floordiv 4", "4"]>>
  return %0 : tensor<?x4xf32, #aten.layout<dims = ["s0 floordiv 4", "4"]>>
}

// -----

// A multiple is one by itself: nothing is left to require.
// CHECK-LABEL: func.func @exact
// CHECK-NOT: hr.requires
// CHECK: return
func.func @exact(%x: tensor<?xf32, #aten.layout<dims = ["4 * s0"]>> {hr.dims = [#hr.size<"4 * s0">], hr.name = "x"})
    -> (tensor<?x4xf32, #aten.layout<dims = ["s0", "4"]>> {hr.dims = [#hr.size<"s0">, #hr.size<"4">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 0, 64>]} {
  %0 = aten.call "aten.view.default"(%x) [#aten.value<0>, [-1, 4]] : (tensor<?xf32, #aten.layout<dims = ["4 * s0"]>>) -> tensor<?x4xf32, #aten.layout<dims = ["s0", "4"]>>
  return %0 : tensor<?x4xf32, #aten.layout<dims = ["s0", "4"]>>
}

// -----

// What is selected is there: a condition on one size is its range.
// CHECK-LABEL: func.func @select
// CHECK-NOT: hr.requires
// CHECK-SAME: hr.symbols = [#hr.symbol<"batch", 4, 64>]
func.func @select(%x: tensor<?x8xf32, #aten.layout<dims = ["batch", "8"]>> {hr.dims = [#hr.size<"batch">, #hr.size<"8">], hr.name = "x", hr.dim_names = ["batch", ""]})
    -> (tensor<8xf32> {hr.dims = [#hr.size<"8">]})
    attributes {hr.symbols = [#hr.symbol<"batch", 0, 64>]} {
  %0 = aten.call "aten.select.int"(%x) [#aten.value<0>, 0, 3] : (tensor<?x8xf32, #aten.layout<dims = ["batch", "8"]>>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// So is what a slice begins with, unless it takes nothing.
// CHECK-LABEL: func.func @slice
// CHECK-NOT: hr.requires
// CHECK: return
func.func @slice(%x: tensor<?xf32, #aten.layout<dims = ["s0"]>> {hr.dims = [#hr.size<"s0">], hr.name = "x"})
    -> (tensor<?xf32, #aten.layout<dims = ["s0 - min(s0, 5)"]>> {hr.dims = [#hr.size<"s0 - min(s0, 5)">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 8, 64>]} {
  %0 = aten.call "aten.slice.Tensor"(%x) [#aten.value<0>, 0, 5, 9223372036854775807, 1] : (tensor<?xf32, #aten.layout<dims = ["s0"]>>) -> tensor<?xf32, #aten.layout<dims = ["s0 - min(s0, 5)"]>>
  return %0 : tensor<?xf32, #aten.layout<dims = ["s0 - min(s0, 5)"]>>
}
