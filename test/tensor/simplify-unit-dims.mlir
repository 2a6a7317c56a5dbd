// RUN: headrace-opt %s --hr-simplify --split-input-file | FileCheck %s
// RUN: headrace-opt %s --split-input-file --hr-evaluate-entries="compare=hr-simplify" -o /dev/null

// Elementwise ops work without dimensions of size one; the reshapes between
// neighbours cancel, those at the border stay.

// CHECK-LABEL: func.func @chain
// CHECK: %[[X:.+]] = hr.reshape %arg0 to [#hr.size<"6">, #hr.size<"4">]
// CHECK: %[[A:.+]] = linalg.generic
// CHECK-SAME: ins(%[[X]] : tensor<6x4xf32>)
// CHECK-NOT: hr.reshape
// CHECK: %[[B:.+]] = linalg.generic
// CHECK-SAME: ins(%[[A]] : tensor<6x4xf32>)
// CHECK: %[[Y:.+]] = hr.reshape %[[B]]
// CHECK: return %[[Y]]
func.func @chain(%x: tensor<1x6x4xf32> {hr.name = "x", hr.dims = [#hr.size<"1">, #hr.size<"6">, #hr.size<"4">]})
    -> (tensor<1x6x4xf32> {hr.name = "y", hr.dims = [#hr.size<"1">, #hr.size<"6">, #hr.size<"4">]}) {
  %e = tensor.empty() : tensor<1x6x4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
      iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : tensor<1x6x4xf32>) outs(%e : tensor<1x6x4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.mulf %i, %i : f32
    linalg.yield %r : f32
  } -> tensor<1x6x4xf32>
  %b = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
      iterator_types = ["parallel", "parallel", "parallel"]} ins(%a : tensor<1x6x4xf32>) outs(%e : tensor<1x6x4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.negf %i : f32
    linalg.yield %r : f32
  } -> tensor<1x6x4xf32>
  return %b : tensor<1x6x4xf32>
}

// -----

// A reduction over a dimension of size one is no reduction: it reads its start
// value once. The sum of one element and +0 stays an addition (-0 + 0 is 0).

// CHECK-LABEL: func.func @reduction_of_one
// CHECK: linalg.generic
// CHECK-SAME: iterator_types = ["parallel"]
// CHECK: %[[ZERO:.+]] = arith.constant 0.0
// CHECK: arith.addf %{{.+}}, %[[ZERO]]
func.func @reduction_of_one(%x: tensor<5x1xf32> {hr.name = "x", hr.dims = [#hr.size<"5">, #hr.size<"1">]})
    -> (tensor<5xf32> {hr.name = "y", hr.dims = [#hr.size<"5">]}) {
  %e = tensor.empty() : tensor<5xf32>
  %z = arith.constant 0.0 : f32
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<5xf32>) -> tensor<5xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
      iterator_types = ["parallel", "reduction"]} ins(%x : tensor<5x1xf32>) outs(%f : tensor<5xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.addf %i, %o : f32
    linalg.yield %r : f32
  } -> tensor<5xf32>
  return %a : tensor<5xf32>
}

// -----

// Gathers and updates, too; an index into a dimension of size one stays
// checked.

// CHECK-LABEL: func.func @gather_update
// CHECK: hr.gather %{{.+}}[%{{.+}}] {{.*}} source_dims [0, -1] dims [#hr.size<"3">, #hr.size<"4">]
// CHECK-SAME: tensor<1x4xf32>, (tensor<3xi64>) -> tensor<3x4xf32>
// CHECK: hr.update %{{.+}} with %{{.+}} at [#hr.size<"0">, #hr.size<"1">]
// CHECK-SAME: tensor<3x4xf32>, tensor<3xf32>
func.func @gather_update(
    %table: tensor<1x4xf32> {hr.name = "t", hr.dims = [#hr.size<"1">, #hr.size<"4">]},
    %ids: tensor<1x3xi64> {hr.name = "i", hr.dims = [#hr.size<"1">, #hr.size<"3">]},
    %v: tensor<1x3x1xf32> {hr.name = "v", hr.dims = [#hr.size<"1">, #hr.size<"3">, #hr.size<"1">]})
    -> (tensor<1x3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"1">, #hr.size<"3">, #hr.size<"4">]}) {
  // Ids that the evaluator draws are 0 or 1: keep them in range.
  %e = tensor.empty() : tensor<1x3xi64>
  %zeros = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<1x3xi64>) outs(%e : tensor<1x3xi64>) {
  ^bb0(%i: i64, %o: i64):
    %two = arith.constant 2 : i64
    %q = arith.divsi %i, %two : i64
    linalg.yield %q : i64
  } -> tensor<1x3xi64>
  %g = hr.gather %table[%zeros] map affine_map<(d0, d1, d2) -> (0, d2)> indices [affine_map<(d0, d1, d2) -> (d0, d1)>]
      source_dims [0, -1] dims [#hr.size<"1">, #hr.size<"3">, #hr.size<"4">] what "embedding"
      : tensor<1x4xf32>, (tensor<1x3xi64>) -> tensor<1x3x4xf32>
  %u = hr.update %g with %v at [#hr.size<"0">, #hr.size<"0">, #hr.size<"1">] map affine_map<(d0, d1, d2) -> (d0, d1, d2)>
      : tensor<1x3x4xf32>, tensor<1x3x1xf32>
  return %u : tensor<1x3x4xf32>
}

// -----

// CHECK-LABEL: func.func @sorted_row
func.func @sorted_row(%x: tensor<1x5x1xf32> {hr.dims = [#hr.size<"1">, #hr.size<"5">, #hr.size<"1">], hr.name = "x"}) -> (tensor<1x5x1xi64> {hr.dims = [#hr.size<"1">, #hr.size<"5">, #hr.size<"1">], hr.name = "y"}) attributes {hr.symbols = []} {
  // CHECK: hr.sort %{{.+}} dim 0 descending : tensor<5xf32> -> tensor<5xi64>
  %y = hr.sort %x dim 1 descending : tensor<1x5x1xf32> -> tensor<1x5x1xi64>
  return %y : tensor<1x5x1xi64>
}

// -----

// The order of one element is known.
// CHECK-LABEL: func.func @sorted_element
func.func @sorted_element(%x: tensor<3x1xf32> {hr.dims = [#hr.size<"3">, #hr.size<"1">], hr.name = "x"}) -> (tensor<3x1xi64> {hr.dims = [#hr.size<"3">, #hr.size<"1">], hr.name = "y"}) attributes {hr.symbols = []} {
  // CHECK-NOT: hr.sort
  // CHECK: linalg.fill
  %y = hr.sort %x dim 1 : tensor<3x1xf32> -> tensor<3x1xi64>
  return %y : tensor<3x1xi64>
}
