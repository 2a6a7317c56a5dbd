// Every op and attribute of the dialect prints as it parses.
// RUN: headrace-opt %s --verify-roundtrip | FileCheck %s
// RUN: headrace-opt %s --mlir-print-op-generic | headrace-opt | FileCheck %s

// CHECK-LABEL: func.func @layouts
// CHECK-SAME: tensor<?x384xf32, #aten.layout<dims = ["s0", "384"]>>
// CHECK-SAME: tensor<8x4xui8, #aten.layout<dims = ["8", "4"], strides = ["1", "8"]>>
func.func @layouts(
    %x: tensor<?x384xf32, #aten.layout<dims = ["s0", "384"]>>,
    %y: tensor<8x4xui8, #aten.layout<dims = ["8", "4"], strides = ["1", "8"]>>) {
  return
}

// Sizes are kept in canonical form.
// CHECK-LABEL: func.func @canonical_sizes
// CHECK-SAME: dims = ["s0 * s1 + 4"]
func.func @canonical_sizes(%x: tensor<?xf32, #aten.layout<dims = ["4 + s1 * s0"]>>) {
  return
}

// CHECK-LABEL: func.func @kinds_of_arguments
func.func @kinds_of_arguments(%x: tensor<4x4xf32>, %i: tensor<2xi64>) {
  // CHECK: aten.call "aten.add.Tensor"(%{{.*}}, %{{.*}}) [#aten.value<0>, #aten.value<1>, 1]
  %0 = aten.call "aten.add.Tensor"(%x, %x) [#aten.value<0>, #aten.value<1>, 1] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // A number where the schema wants a tensor.
  // CHECK: aten.call "aten.mul.Tensor"(%{{.*}}) [#aten.value<0>, 2.500000e+00]
  %1 = aten.call "aten.mul.Tensor"(%x) [#aten.value<0>, 2.5] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // None, a dtype, a bool, a list.
  // CHECK: aten.call "aten.sum.dim_IntList"(%{{.*}}) [#aten.value<0>, [0, -1], true, f64]
  %2 = aten.call "aten.sum.dim_IntList"(%x) [#aten.value<0>, [0, -1], true, f64] : (tensor<4x4xf32>) -> tensor<1x1xf64>
  // A list of optional tensors.
  // CHECK: aten.call "aten.index.Tensor"(%{{.*}}, %{{.*}}) [#aten.value<0>, [#aten.none, #aten.value<1>]]
  %3 = aten.call "aten.index.Tensor"(%x, %i) [#aten.value<0>, [#aten.none, #aten.value<1>]] : (tensor<4x4xf32>, tensor<2xi64>) -> tensor<4x2xf32>
  // Memory format, layout, device, symbolic size.
  // CHECK: aten.call "aten.clone.default"(%{{.*}}) [#aten.value<0>, #aten.memory_format<channels_last>]
  %4 = aten.call "aten.clone.default"(%x) [#aten.value<0>, #aten.memory_format<channels_last>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // CHECK: aten.call "aten.arange.default"() [#hr.size<"s0">, i64, #aten.torch_layout<strided>, #aten.device<"cpu">, false]
  %5 = aten.call "aten.arange.default"() [#hr.size<"s0">, i64, #aten.torch_layout<strided>, #aten.device<"cpu">, false] : () -> tensor<?xi64, #aten.layout<dims = ["s0"]>>
  // CHECK: aten.call "aten.mul.Scalar"(%{{.*}}) [#aten.value<0>, #aten.complex<1.000000e+00 : f64, 2.000000e+00 : f64>]
  %6 = aten.call "aten.mul.Scalar"(%x) [#aten.value<0>, #aten.complex<1.0 : f64, 2.0 : f64>] : (tensor<4x4xf32>) -> tensor<4x4xcomplex<f32>>
  // A string, and a list of tensors.
  // CHECK: aten.call "aten.einsum.default"(%{{.*}}, %{{.*}}) ["ij,jk->ik", [#aten.value<0>, #aten.value<1>], #aten.none]
  %7 = aten.call "aten.einsum.default"(%x, %x) ["ij,jk->ik", [#aten.value<0>, #aten.value<1>], #aten.none] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}

// CHECK-LABEL: func.func @list_result
func.func @list_result(%x: tensor<4x4xf32>) {
  // CHECK: %{{.*}}:2 = aten.call "aten.split.Tensor"
  %0:2 = aten.call "aten.split.Tensor"(%x) [#aten.value<0>, 2, 0] : (tensor<4x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>)
  return
}

// CHECK-LABEL: func.func @subgraphs
func.func @subgraphs(%p: tensor<i1>, %x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: aten.region_call "cond"(%{{.*}}, %{{.*}}) [#aten.value<0>, #aten.region<0>, #aten.region<1>, [#aten.value<1>]] {
  // CHECK: ^bb0(%[[A:.+]]: tensor<4xf32>):
  // CHECK: aten.yield %[[A]] : tensor<4xf32>
  // CHECK: }, {
  %r = aten.region_call "cond"(%p, %x) [#aten.value<0>, #aten.region<0>, #aten.region<1>, [#aten.value<1>]] {
  ^bb0(%a: tensor<4xf32>):
    aten.yield %a : tensor<4xf32>
  }, {
  ^bb0(%a: tensor<4xf32>):
    aten.yield %a : tensor<4xf32>
  } : (tensor<i1>, tensor<4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}
