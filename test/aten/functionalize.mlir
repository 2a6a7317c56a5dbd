// Writes through views become new values of the tensor they are views of.
// RUN: headrace-opt %s --aten-functionalize --split-input-file | FileCheck %s

// An operator in place on a fresh tensor is its functional form.
// CHECK-LABEL: func.func @fresh
func.func @fresh(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: %[[A:.+]] = aten.call "aten.relu.default"
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: %[[B:.+]] = aten.call "aten.add.Tensor"(%[[A]])
  %1 = aten.call "aten.add_.Tensor"(%0) [#aten.value<0>, 1, 1] : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: return %[[B]]
  return %0 : tensor<4xf32>
}

// -----

// The base and its other views see the write.
// CHECK-DAG: #[[ROW:.+]] = affine_map<(d0) -> (0, d0)>
// CHECK-LABEL: func.func @through_select
func.func @through_select(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4xf32, #aten.layout<dims = ["4"], strides = ["8"]>>) {
  // CHECK: %[[X:.+]] = aten.call "aten.relu.default"
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %c = aten.call "aten.select.int"(%0) [#aten.value<0>, 1, 0] : (tensor<4x8xf32>) -> tensor<4xf32, #aten.layout<dims = ["4"], strides = ["8"]>>
  // CHECK: %[[ROW1:.+]] = aten.call "aten.select.int"(%[[X]]) [#aten.value<0>, 0, -3]
  %r = aten.call "aten.select.int"(%0) [#aten.value<0>, 0, -3] : (tensor<4x8xf32>) -> tensor<8xf32>
  // CHECK: %[[NEW:.+]] = aten.call "aten.mul.Tensor"(%[[ROW1]])
  %1 = aten.call "aten.mul_.Tensor"(%r) [#aten.value<0>, 2] : (tensor<8xf32>) -> tensor<8xf32>
  // CHECK: %[[Y:.+]] = hr.update %[[X]] with %[[NEW]] at [#hr.size<"1">, #hr.size<"0">] map #[[ROW]]
  // CHECK: %[[COL:.+]] = aten.call "aten.select.int"(%[[Y]]) [#aten.value<0>, 1, 0]
  // CHECK: return %[[Y]], %[[COL]]
  return %0, %c : tensor<4x8xf32>, tensor<4xf32, #aten.layout<dims = ["4"], strides = ["8"]>>
}

// -----

// Strided steps in a row are one update; here a slice of a transposition.
// CHECK-DAG: #[[MAP:.+]] = affine_map<(d0, d1) -> (d1, d0 * 2)>
// CHECK-LABEL: func.func @view_of_view
func.func @view_of_view(%x: tensor<4x8xf32>, %v: tensor<4x4xf32>) -> tensor<4x8xf32> {
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %t = aten.call "aten.t.default"(%0) [#aten.value<0>] : (tensor<4x8xf32>) -> tensor<8x4xf32, #aten.layout<dims = ["8", "4"], strides = ["1", "8"]>>
  %s = aten.call "aten.slice.Tensor"(%t) [#aten.value<0>, 0, 1, 9223372036854775807, 2] : (tensor<8x4xf32, #aten.layout<dims = ["8", "4"], strides = ["1", "8"]>>) -> tensor<4x4xf32, #aten.layout<dims = ["4", "4"], strides = ["2", "8"]>>
  // CHECK: %[[X:.+]] = aten.call "aten.relu.default"
  // CHECK-NEXT: %[[Y:.+]] = hr.update %[[X]] with %arg1 at [#hr.size<"0">, #hr.size<"1">] map #[[MAP]]
  %c = aten.call "aten.copy_.default"(%s, %v) [#aten.value<0>, #aten.value<1>, false] : (tensor<4x4xf32, #aten.layout<dims = ["4", "4"], strides = ["2", "8"]>>, tensor<4x4xf32>) -> tensor<4x4xf32, #aten.layout<dims = ["4", "4"], strides = ["2", "8"]>>
  // CHECK-NEXT: return %[[Y]]
  return %0 : tensor<4x8xf32>
}

// -----

// A reshape of a row-major tensor is a view; of another one it is a copy, and
// a write to the copy leaves the tensor alone.
// CHECK-LABEL: func.func @reshape_view_or_copy
func.func @reshape_view_or_copy(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  // CHECK: %[[A:.+]] = aten.call "aten.relu.default"
  %a = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: %[[B:.+]] = aten.call "aten.neg.default"
  %b = aten.call "aten.neg.default"(%x) [#aten.value<0>] : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %f = aten.call "aten.reshape.default"(%a) [#aten.value<0>, [-1]] : (tensor<4x8xf32>) -> tensor<32xf32>
  // CHECK: %[[ZERO:.+]] = aten.call "aten.full_like.default"
  // CHECK: %[[A2:.+]] = hr.reshape %[[ZERO]] to
  %z = aten.call "aten.zero_.default"(%f) [#aten.value<0>] : (tensor<32xf32>) -> tensor<32xf32>
  %t = aten.call "aten.t.default"(%b) [#aten.value<0>] : (tensor<4x8xf32>) -> tensor<8x4xf32, #aten.layout<dims = ["8", "4"], strides = ["1", "8"]>>
  %g = aten.call "aten.reshape.default"(%t) [#aten.value<0>, [-1]] : (tensor<8x4xf32, #aten.layout<dims = ["8", "4"], strides = ["1", "8"]>>) -> tensor<32xf32>
  %y = aten.call "aten.zero_.default"(%g) [#aten.value<0>] : (tensor<32xf32>) -> tensor<32xf32>
  // CHECK: return %[[A2]], %[[B]]
  return %a, %b : tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// What several results alias: writing to the second chunk changes the tensor.
// CHECK-LABEL: func.func @chunk
func.func @chunk(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {
  // CHECK: %[[A:.+]] = aten.call "aten.relu.default"
  %a = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %c:3 = aten.call "aten.chunk.default"(%a) [#aten.value<0>, 3, 1] : (tensor<4x6xf32>) -> (tensor<4x2xf32, #aten.layout<dims = ["4", "2"], strides = ["6", "1"]>>, tensor<4x2xf32, #aten.layout<dims = ["4", "2"], strides = ["6", "1"]>>, tensor<4x2xf32, #aten.layout<dims = ["4", "2"], strides = ["6", "1"]>>)
  // CHECK: %[[N:.+]] = aten.call "aten.neg.default"
  %n = aten.call "aten.neg_.default"(%c#1) [#aten.value<0>] : (tensor<4x2xf32, #aten.layout<dims = ["4", "2"], strides = ["6", "1"]>>) -> tensor<4x2xf32, #aten.layout<dims = ["4", "2"], strides = ["6", "1"]>>
  // CHECK: %[[U:.+]] = hr.update %[[A]] with %[[N]] at [#hr.size<"0">, #hr.size<"2">]
  // CHECK: return %[[U]]
  return %a : tensor<4x6xf32>
}

// -----

// In-place arithmetic computes in the promoted type and rounds once.
// CHECK-LABEL: func.func @promotes
func.func @promotes(%x: tensor<4xbf16>, %y: tensor<4xf32>) -> tensor<4xbf16> {
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4xbf16>) -> tensor<4xbf16>
  // CHECK: %[[S:.+]] = aten.call "aten.add.Tensor"{{.*}} -> tensor<4xf32>
  // CHECK: %[[R:.+]] = aten.call "aten.to.dtype"(%[[S]]) [#aten.value<0>, bf16
  %1 = aten.call "aten.add_.Tensor"(%0, %y) [#aten.value<0>, #aten.value<1>, 1] : (tensor<4xbf16>, tensor<4xf32>) -> tensor<4xbf16>
  // CHECK: return %[[R]]
  return %1 : tensor<4xbf16>
}

// -----

// A number fills, and a smaller source is spread.
// CHECK-LABEL: func.func @fill_and_broadcast
func.func @fill_and_broadcast(%x: tensor<4x8xf32>, %v: tensor<8xi64>) -> tensor<4x8xf32> {
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: %[[F:.+]] = aten.call "aten.to.dtype"(%arg1) [#aten.value<0>, f32
  // CHECK: %[[E:.+]] = aten.call "aten.expand.default"(%[[F]]) [#aten.value<0>, [4, 8], false]
  %1 = aten.call "aten.copy_.default"(%0, %v) [#aten.value<0>, #aten.value<1>, false] : (tensor<4x8xf32>, tensor<8xi64>) -> tensor<4x8xf32>
  // CHECK: return %[[E]]
  return %0 : tensor<4x8xf32>
}

// -----

// An `out` argument takes the result.
// CHECK-LABEL: func.func @out
func.func @out(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: %[[S:.+]] = aten.call "aten.add.Tensor"(%arg0, %arg1) [#aten.value<0>, #aten.value<1>, 1]
  %1 = aten.call "aten.add.out"(%x, %y, %0) [#aten.value<0>, #aten.value<1>, 1, #aten.value<2>] : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: return %[[S]]
  return %0 : tensor<4xf32>
}

// -----

// The second half of `x[1] += 1` writes what is there already.
// CHECK-LABEL: func.func @same_view_twice
func.func @same_view_twice(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %a = aten.call "aten.select.int"(%0) [#aten.value<0>, 0, 1] : (tensor<4x8xf32>) -> tensor<8xf32>
  %b = aten.call "aten.add_.Tensor"(%a) [#aten.value<0>, 1, 1] : (tensor<8xf32>) -> tensor<8xf32>
  %c = aten.call "aten.select.int"(%0) [#aten.value<0>, 0, 1] : (tensor<4x8xf32>) -> tensor<8xf32>
  // CHECK-COUNT-1: hr.update
  // CHECK-NOT: hr.update
  %d = aten.call "aten.copy_.default"(%c, %b) [#aten.value<0>, #aten.value<1>, false] : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// A symbolic offset that is provably in range stays as it is.
// CHECK-LABEL: func.func @symbolic_slice
func.func @symbolic_slice(%x: tensor<1x?xf32, #aten.layout<dims = ["1", "t"]>>, %v: tensor<1x1xf32>) -> tensor<1x64xf32>
    attributes {hr.symbols = [#hr.symbol<"t", 2, 63>]} {
  %0 = aten.call "aten.full.default"() [[1, 64], 0, f32, #aten.none, #aten.none, #aten.none] : () -> tensor<1x64xf32>
  %s = aten.call "aten.slice.Tensor"(%0) [#aten.value<0>, 1, #hr.size<"t - 1">, #hr.size<"t">, 1] : (tensor<1x64xf32>) -> tensor<1x1xf32>
  // CHECK: hr.update %{{.*}} with %arg1 at [#hr.size<"0">, #hr.size<"t - 1">]
  %c = aten.call "aten.copy_.default"(%s, %v) [#aten.value<0>, #aten.value<1>, false] : (tensor<1x1xf32>, tensor<1x1xf32>) -> tensor<1x1xf32>
  return %0 : tensor<1x64xf32>
}
