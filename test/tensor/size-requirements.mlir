// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(aten-convert-to-tensor)' | FileCheck %s

// What an operator needs of a size that may lack it is left to the call: a
// maximum of nothing has no place, and of two elements there are no best three.

// CHECK-LABEL: func.func @needs
// CHECK-SAME: hr.symbols = [#hr.symbol<"s0", 3, 64>]
func.func @needs(%x: tensor<4x?xf32, #aten.layout<dims = ["4", "s0"]>> {hr.name = "x", hr.dims = [#hr.size<"4">, #hr.size<"s0">]})
    -> (tensor<4xi64> {hr.name = "y", hr.dims = [#hr.size<"4">]}, tensor<4x3xf32> {hr.name = "z", hr.dims = [#hr.size<"4">, #hr.size<"3">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 0, 64>]} {
  %0 = aten.call "aten.argmax.default"(%x) [#aten.value<0>, 1, false] : (tensor<4x?xf32, #aten.layout<dims = ["4", "s0"]>>) -> tensor<4xi64>
  %1, %2 = aten.call "aten.topk.default"(%x) [#aten.value<0>, 3, 1, true, true] : (tensor<4x?xf32, #aten.layout<dims = ["4", "s0"]>>) -> (tensor<4x3xf32>, tensor<4x3xi64>)
  return %0, %1 : tensor<4xi64>, tensor<4x3xf32>
}

// -----

// Only along its dimension does a gather check positions.

// CHECK-LABEL: func.func @gather
// CHECK-SAME: hr.requires = [#hr.requirement<"s0 - s1", "i.shape[0] <= x.shape[0]", "{{.*}}">
func.func @gather(%x: tensor<?x8xf32, #aten.layout<dims = ["s0", "8"]>> {hr.name = "x", hr.dims = [#hr.size<"s0">, #hr.size<"8">]},
                  %i: tensor<?x4xi64, #aten.layout<dims = ["s1", "4"]>> {hr.name = "i", hr.dims = [#hr.size<"s1">, #hr.size<"4">]})
    -> (tensor<?x4xf32, #aten.layout<dims = ["s1", "4"]>> {hr.name = "y", hr.dims = [#hr.size<"s1">, #hr.size<"4">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 0, 64>, #hr.symbol<"s1", 0, 64>]} {
  %0 = aten.call "aten.gather.default"(%x, %i) [#aten.value<0>, 1, #aten.value<1>, false] : (tensor<?x8xf32, #aten.layout<dims = ["s0", "8"]>>, tensor<?x4xi64, #aten.layout<dims = ["s1", "4"]>>) -> tensor<?x4xf32, #aten.layout<dims = ["s1", "4"]>>
  return %0 : tensor<?x4xf32, #aten.layout<dims = ["s1", "4"]>>
}

// -----

// Near miss: the ranges say that there are enough; a sum of nothing is zero.

// CHECK-LABEL: func.func @enough
// CHECK-NOT: hr.requires
func.func @enough(%x: tensor<4x?xf32, #aten.layout<dims = ["4", "s0"]>> {hr.name = "x", hr.dims = [#hr.size<"4">, #hr.size<"s0">]},
                  %e: tensor<?xf32, #aten.layout<dims = ["s1"]>> {hr.name = "e", hr.dims = [#hr.size<"s1">]})
    -> (tensor<4xi64> {hr.name = "y", hr.dims = [#hr.size<"4">]}, tensor<f32> {hr.name = "z", hr.dims = []})
    attributes {hr.symbols = [#hr.symbol<"s0", 3, 64>, #hr.symbol<"s1", 0, 64>]} {
  %0 = aten.call "aten.argmax.default"(%x) [#aten.value<0>, 1, false] : (tensor<4x?xf32, #aten.layout<dims = ["4", "s0"]>>) -> tensor<4xi64>
  %1 = aten.call "aten.sum.default"(%e) [#aten.value<0>, #aten.none] : (tensor<?xf32, #aten.layout<dims = ["s1"]>>) -> tensor<f32>
  return %0, %1 : tensor<4xi64>, tensor<f32>
}
