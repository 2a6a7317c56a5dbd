// Views, indexing and updates become hr ops; what adds or drops dimensions of
// size 1 cancels out.
// RUN: headrace-opt %s --split-input-file --aten-convert-to-tensor --hr-verify-tensor | FileCheck %s

// CHECK-DAG: #[[MAP:.+]] = affine_map<(d0, d1) -> (d1, d0 * 2)>
// CHECK-LABEL: func.func @slice_of_transpose
// CHECK-SAME: %[[X:.+]]: tensor<4x9xf32>
// CHECK-NEXT: %[[V:.+]] = hr.view %[[X]] at [#hr.size<"0">, #hr.size<"1">] map #[[MAP]] dims [#hr.size<"4">, #hr.size<"4">]
// CHECK-NEXT: return %[[V]]
func.func @slice_of_transpose(%x: tensor<4x9xf32>) -> tensor<4x4xf32> {
  %0 = aten.call "aten.transpose.int"(%x) [#aten.value<0>, 0, 1] : (tensor<4x9xf32>) -> tensor<9x4xf32, #aten.layout<dims = ["9", "4"], strides = ["1", "9"]>>
  %1 = aten.call "aten.slice.Tensor"(%0) [#aten.value<0>, 0, 1, 9223372036854775807, 2] : (tensor<9x4xf32, #aten.layout<dims = ["9", "4"], strides = ["1", "9"]>>) -> tensor<4x4xf32, #aten.layout<dims = ["4", "4"], strides = ["2", "9"]>>
  %2 = aten.call "aten.clone.default"(%1) [#aten.value<0>, #aten.memory_format<contiguous>] : (tensor<4x4xf32, #aten.layout<dims = ["4", "4"], strides = ["2", "9"]>>) -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// -----

// Swapping with a dimension of size 1 moves nothing.
// CHECK-LABEL: func.func @transpose_of_one
// CHECK-SAME: %[[X:.+]]: tensor<2x1x8xf32>
// CHECK-NEXT: hr.reshape %[[X]] to [#hr.size<"1">, #hr.size<"2">, #hr.size<"8">]
// CHECK-NOT: hr.view
func.func @transpose_of_one(%x: tensor<2x1x8xf32>) -> tensor<1x2x8xf32> {
  %0 = aten.call "aten.transpose.int"(%x) [#aten.value<0>, 0, 1] : (tensor<2x1x8xf32>) -> tensor<1x2x8xf32, #aten.layout<dims = ["1", "2", "8"], strides = ["8", "8", "1"]>>
  %1 = aten.call "aten.contiguous.default"(%0) [#aten.value<0>, #aten.memory_format<contiguous>] : (tensor<1x2x8xf32, #aten.layout<dims = ["1", "2", "8"], strides = ["8", "8", "1"]>>) -> tensor<1x2x8xf32>
  return %1 : tensor<1x2x8xf32>
}

// -----

// Keeping a reduced dimension costs no loop where it is used again.
// CHECK-LABEL: func.func @keepdim
// CHECK: linalg.generic
// CHECK-NOT: hr.reshape
// CHECK: return
func.func @keepdim(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = aten.call "aten.amax.default"(%x) [#aten.value<0>, [1], true] : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %1 = aten.call "aten.sub.Tensor"(%x, %0) [#aten.value<0>, #aten.value<1>, 1] : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func.func @embedding
// CHECK: hr.gather %{{.+}}[%{{.+}}] {{.*}} source_dims [0, -1] {{.*}} what "embedding"
// CHECK-NOT: wrap
func.func @embedding(%w: tensor<100x8xf32>, %i: tensor<2x3xi64>) -> tensor<2x3x8xf32> {
  %0 = aten.call "aten.embedding.default"(%w, %i) [#aten.value<0>, #aten.value<1>, -1, false, false] : (tensor<100x8xf32>, tensor<2x3xi64>) -> tensor<2x3x8xf32>
  return %0 : tensor<2x3x8xf32>
}

// -----

// Indices apart: their shape comes first. Python's negative indices are meant.
// CHECK-LABEL: func.func @index_apart
// CHECK: hr.gather %{{.+}}[%{{.+}}, %{{.+}}] {{.*}} source_dims [0, -1, 1] dims [#hr.size<"4">, #hr.size<"3">] what "index" wrap
func.func @index_apart(%x: tensor<5x3x2xf32>, %i: tensor<4xi64>, %j: tensor<4xi64>) -> tensor<4x3xf32> {
  %0 = aten.call "aten.index.Tensor"(%x, %i, %j) [#aten.value<0>, [#aten.value<1>, #aten.none, #aten.value<2>]] : (tensor<5x3x2xf32>, tensor<4xi64>, tensor<4xi64>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}

// -----

// CHECK-LABEL: func.func @index_copy
// CHECK: hr.scatter %{{.+}} into %{{.+}}[%{{.+}}] combine replace {{.*}} source_dims [-1, -1, 0, -1] what "index_copy"
func.func @index_copy(%c: tensor<2x4x16x8xf32>, %i: tensor<3xi64>, %k: tensor<2x4x3x8xf32>) -> tensor<2x4x16x8xf32> {
  %0 = aten.call "aten.index_copy.default"(%c, %i, %k) [#aten.value<0>, 2, #aten.value<1>, #aten.value<2>] : (tensor<2x4x16x8xf32>, tensor<3xi64>, tensor<2x4x3x8xf32>) -> tensor<2x4x16x8xf32>
  return %0 : tensor<2x4x16x8xf32>
}

// -----

// Where a slice starts may be symbolic, if its side is known.
// CHECK-LABEL: func.func @symbolic_slice
// CHECK: hr.view %{{.+}} at [#hr.size<"s0 - 1">, #hr.size<"0">]
func.func @symbolic_slice(%x: tensor<?x8xf32, #aten.layout<dims = ["s0", "8"]>> {hr.name = "x", hr.dims = [#hr.size<"s0">, #hr.size<"8">]})
    -> (tensor<1x8xf32> {hr.name = "y", hr.dims = [#hr.size<"1">, #hr.size<"8">]}) attributes {hr.symbols = [#hr.symbol<"s0", 2, 64>]} {
  %0 = aten.call "aten.slice.Tensor"(%x) [#aten.value<0>, 0, -1, 9223372036854775807, 1] : (tensor<?x8xf32, #aten.layout<dims = ["s0", "8"]>>) -> tensor<1x8xf32>
  return %0 : tensor<1x8xf32>
}
